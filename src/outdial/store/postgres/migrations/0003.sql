-- Conversations can be listed and deleted; webhooks and a workspace's settings are kept.

-- What a list is read by stands in the conversation's own row, which is written once, when the call is over: indexes on
-- `attempt` would be paid for at each of its changes. Calls under way are few, and are found by their slots.
alter table conversation add column agent_id bigint not null default 0;
alter table conversation add column batch_id bigint not null default 0;
alter table conversation add column started_at bigint not null default 0;
alter table conversation add column deleted_at bigint;
update conversation c set agent_id = a.agent_id, batch_id = a.batch_id, started_at = coalesce(a.go_at, 0)
from attempt a where a.call_key = c.call_key;
create index conversation_by_workspace on conversation (workspace_id, started_at, call_key) where deleted_at is null;
create index conversation_by_agent on conversation (agent_id, started_at, call_key) where deleted_at is null;
create index conversation_by_batch on conversation (batch_id, started_at, call_key) where deleted_at is null;

-- A call that was sent, with everything that its readers need beside it.
create view call_view as
select
    a.call_key, a.workspace_id, a.agent_id, a.batch_id, a.ord, a.state, a.holds, a.provider, a.number, a.recipient_id,
    a.round, a.claimed_at, a.go_at, a.ringing_at, a.answered_at, a.ended_at, a.ending, a.provider_call_id,
    g.public_id as agent_public_id,
    g.name as agent_name,
    n.public_id as number_public_id,
    n.phone_number as caller,
    case when b.hidden then null else b.public_id end as batch_public_id,
    b.branch_id,
    b.environment,
    b.timezone
from attempt a
join agent g on g.id = a.agent_id
join phone_number n on n.id = a.number_id
join batch b on b.id = a.batch_id
where a.state <> 'void' and a.state <> 'intent';

-- Only a recipient that is reached by WhatsApp has one.
alter table recipient add column whatsapp_user_id text;

alter table workspace add column settings text not null default '{}';

create index phone_number_by_agent on phone_number (agent_id) where agent_id is not null and deleted_at is null;

create table webhook (
    id bigint generated always as identity primary key,
    workspace_id bigint not null references workspace (id),
    public_id text not null unique,
    name text not null,
    url text not null,
    -- the signing key and the headers, which may hold keys too
    sealed text not null,
    events text not null default '[]',
    retry_enabled boolean not null default false,
    is_disabled boolean not null default false,
    is_auto_disabled boolean not null default false,
    created_at bigint not null
);
create index webhook_by_workspace on webhook (workspace_id, id);
