-- Conversations: every call that was sent. Those that are over are read by `conversation`, which has the indexes.

-- name: conversations_of_workspace_down
-- Where the page begins is told by `from_at` and `until_at`; `after_…` only parts those that began in the same instant.
select c.call_key, c.started_at
from conversation c
where c.workspace_id = :workspace_id and c.deleted_at is null
    and c.started_at >= :from_at and c.started_at < :until_at
    and (:after_at is null or (c.started_at, c.call_key) < (:after_at, :after_key))
order by c.started_at desc, c.call_key desc
limit :limit;

-- name: conversations_of_workspace_up
select c.call_key, c.started_at
from conversation c
where c.workspace_id = :workspace_id and c.deleted_at is null
    and c.started_at >= :from_at and c.started_at < :until_at
    and (:after_at is null or (c.started_at, c.call_key) > (:after_at, :after_key))
order by c.started_at asc, c.call_key asc
limit :limit;

-- name: conversations_of_agent_down
-- The id was found in the workspace; with both named, planners walk through the whole workspace or sort.
select c.call_key, c.started_at
from conversation c
where c.agent_id = :agent_id and c.deleted_at is null
    and c.started_at >= :from_at and c.started_at < :until_at
    and (:after_at is null or (c.started_at, c.call_key) < (:after_at, :after_key))
order by c.started_at desc, c.call_key desc
limit :limit;

-- name: conversations_of_agent_up
select c.call_key, c.started_at
from conversation c
where c.agent_id = :agent_id and c.deleted_at is null
    and c.started_at >= :from_at and c.started_at < :until_at
    and (:after_at is null or (c.started_at, c.call_key) > (:after_at, :after_key))
order by c.started_at asc, c.call_key asc
limit :limit;

-- name: conversations_of_batch_down
-- The id was found in the workspace; with both named, planners walk through the whole workspace or sort.
select c.call_key, c.started_at
from conversation c
where c.batch_id = :batch_id and c.deleted_at is null
    and c.started_at >= :from_at and c.started_at < :until_at
    and (:after_at is null or (c.started_at, c.call_key) < (:after_at, :after_key))
order by c.started_at desc, c.call_key desc
limit :limit;

-- name: conversations_of_batch_up
select c.call_key, c.started_at
from conversation c
where c.batch_id = :batch_id and c.deleted_at is null
    and c.started_at >= :from_at and c.started_at < :until_at
    and (:after_at is null or (c.started_at, c.call_key) > (:after_at, :after_key))
order by c.started_at asc, c.call_key asc
limit :limit;

-- name: conversations_under_way
-- They hold a slot each, so they are few; one that had been lost and came back is in `conversation` already.
select v.*
from attempt a
join call_view v on v.call_key = a.call_key
where a.workspace_id = :workspace_id and a.holds and a.state in ('dialing', 'ringing', 'live')
    and (:agent_id is null or a.agent_id = :agent_id)
    and (:batch_id is null or a.batch_id = :batch_id)
    and not exists (select 1 from conversation c where c.call_key = a.call_key);

-- name: calls_by_key
select v.* from call_view v where v.call_key in (select k.value from json_each(:keys) k);

-- name: words_by_key
-- What was said and known, of calls that are over.
select c.call_key, c.client_data, c.said from conversation c where c.call_key in (select k.value from json_each(:keys) k);

-- name: client_data_under_way
-- Their recipients still have what is known of them.
select a.call_key, r.client_data
from attempt a
join recipient r on r.batch_id = a.batch_id and r.ord = a.ord
where a.call_key in (select k.value from json_each(:keys) k);

-- name: call_of_batch
-- The latest that was sent, of a single call's batch.
select v.* from call_view v where v.batch_id = :batch_id and v.ord = 0 order by v.claimed_at desc, v.call_key desc limit 1;

-- name: agent_known
-- A deleted one too: its conversations stay.
select id from agent where workspace_id = :workspace_id and public_id = :public_id;

-- name: batch_known
-- A deleted one too.
select id from batch where workspace_id = :workspace_id and public_id = :public_id and sealed;

-- name: conversation_delete
-- The call itself stays: the batch counts it. Its row is written even if the settle that would have done so is old.
insert into conversation (call_key, workspace_id, client_data, said, agent_id, batch_id, started_at, deleted_at)
select a.call_key, a.workspace_id, '{}', '[]', a.agent_id, a.batch_id, coalesce(a.go_at, 0), :now
from attempt a where a.call_key = :call_key
on conflict (call_key) do update set client_data = '{}', said = '[]', deleted_at = excluded.deleted_at;
