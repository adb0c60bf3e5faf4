-- What a trunk said when it was asked, while it was halted, whether it is there.
create table trunk_probe (
    trunk text primary key,
    asked_at integer not null,
    said_at integer not null default 0,
    says text not null default ''
) without rowid;
