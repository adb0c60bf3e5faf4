-- name: number_create
insert into phone_number (
    workspace_id, public_id, provider, phone_number, label, settings, trunk, max_concurrent_calls,
    max_calls_per_second, agent_id, created_at, updated_at
)
values (
    :workspace_id, :public_id, :provider, :phone_number, :label, :settings, :trunk, :max_concurrent_calls::int,
    :max_calls_per_second::float8, :agent_id::bigint, :now, :now
)
returning id;

-- name: number_update
-- Its version moves even if the clock stood still: others keep what they decoded by it.
update phone_number
set provider = :provider, phone_number = :phone_number, label = :label, settings = :settings, trunk = :trunk,
    max_concurrent_calls = :max_concurrent_calls::int, max_calls_per_second = :max_calls_per_second::float8,
    agent_id = :agent_id::bigint,
    updated_at = greatest(:now::bigint, updated_at + 1)
where workspace_id = :workspace_id and public_id = :public_id and deleted_at is null;

-- name: number_delete
update phone_number set deleted_at = :now, updated_at = greatest(:now::bigint, updated_at + 1) where id = :id;

-- name: number_by_id
-- A deleted one too: calls under way need it.
select n.*, coalesce(t.halted_reason, '') as halted_reason, g.public_id as agent_public_id, g.name as agent_name
from phone_number n
left join bucket t on t.key = n.trunk
left join agent g on g.id = n.agent_id and g.deleted_at is null
where n.id = :id;

-- name: number_by_public_id
select n.*, coalesce(t.halted_reason, '') as halted_reason, g.public_id as agent_public_id, g.name as agent_name
from phone_number n
left join bucket t on t.key = n.trunk
left join agent g on g.id = n.agent_id and g.deleted_at is null
where n.workspace_id = :workspace_id and n.public_id = :public_id and n.deleted_at is null;

-- name: numbers
select n.*, coalesce(t.halted_reason, '') as halted_reason, g.public_id as agent_public_id, g.name as agent_name
from phone_number n
left join bucket t on t.key = n.trunk
left join agent g on g.id = n.agent_id and g.deleted_at is null
where n.workspace_id = :workspace_id and n.deleted_at is null
order by n.created_at, n.id;

-- name: number_newest
select n.*, '' as halted_reason, null as agent_public_id, null as agent_name from phone_number n where n.deleted_at is null order by n.id desc limit 1;

-- name: number_used_by
-- A list that is still being written counts too.
select public_id from batch
where number_id = :id and deleted_at is null and (not sealed or status in ('pending', 'in_progress'))
limit 1;

-- name: trunk_try_again
-- One call tries it; one more fault halts it again (domain/backoff.py).
update bucket set refusals = 2, probe_at = :now, faults = 2, halted_at = null, halted_reason = '', unproven = true
where key = :key and halted_reason <> '';

-- name: trunk_open
-- A new one has to prove itself; one that others use too is as it is.
insert into bucket (key, unproven) values (:key, true) on conflict (key) do nothing;

-- name: trunk_unproven
-- Nobody knows of its new settings whether they are right.
update bucket set unproven = true where key = :key;

-- name: tried_before
-- What these find out they find out about the old ones.
update attempt set trying = false where trunk = :key and trying and holds;
