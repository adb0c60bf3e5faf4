-- The last transaction of each committer, written by that transaction: what is looked up after a COMMIT without an answer.
create table committer (
    id text primary key,
    token bigint not null,
    seen_at bigint not null
) with (fillfactor = 50);
