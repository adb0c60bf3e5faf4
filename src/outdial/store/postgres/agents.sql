-- name: agent_create
insert into agent (
    workspace_id, public_id, name, conversation_config, platform_settings, workflow, tags, concurrency_limit,
    daily_limit, created_at, updated_at
)
values (
    :workspace_id, :public_id, :name, :conversation_config, :platform_settings, :workflow, :tags,
    :concurrency_limit::int, :daily_limit::bigint, :now, :now
)
returning *;

-- name: agent_update
-- Its version moves even if the clock stood still: others keep what they decoded by it.
update agent
set name = :name, conversation_config = :conversation_config, platform_settings = :platform_settings,
    workflow = :workflow, tags = :tags, concurrency_limit = :concurrency_limit::int,
    daily_limit = :daily_limit::bigint,
    updated_at = greatest(:now::bigint, updated_at + 1)
where workspace_id = :workspace_id and public_id = :public_id and deleted_at is null
returning *;

-- name: agent_delete
update agent set deleted_at = :now, updated_at = greatest(:now::bigint, updated_at + 1) where id = :id;

-- name: agent_by_id
-- A deleted one too: calls under way need it.
select * from agent where id = :id;

-- name: agent_by_public_id
select * from agent where workspace_id = :workspace_id and public_id = :public_id and deleted_at is null;

-- name: agents
select * from agent where workspace_id = :workspace_id and deleted_at is null order by created_at, id;

-- name: agent_cards
-- What a list is searched and sorted by.
select id, name, tags, platform_settings, created_at from agent
where workspace_id = :workspace_id and deleted_at is null;

-- name: agents_by_id
select * from agent where id in (select e::bigint from jsonb_array_elements_text(:ids::jsonb) as e);

-- name: agents_last_calls
select k.value as id, (
    select c.started_at from conversation c
    where c.agent_id = k.value and c.deleted_at is null
    order by c.started_at desc limit 1
) as at
from (select e::bigint as value from jsonb_array_elements_text(:ids::jsonb) as e) k;

-- name: agents_calls_since
select agent_id, count(*) as n from conversation
where workspace_id = :workspace_id and deleted_at is null and started_at >= :since
group by agent_id;

-- name: agent_used_by
-- A list that is still being written counts too.
select public_id from batch
where agent_id = :id and deleted_at is null and (not sealed or status in ('pending', 'in_progress'))
limit 1;
