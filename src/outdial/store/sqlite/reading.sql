-- What people ask.

-- name: batches_of_workspace
select v.* from batch_view v
where v.workspace_id = :workspace_id and v.sealed and v.deleted_at is null and not v.hidden
    and (:agent_public_id is null or v.agent_public_id = :agent_public_id)
    and (:created_at is null or (v.created_at, v.id) < (:created_at, :batch_id))
order by v.created_at desc, v.id desc
limit :limit;

-- name: recipients_after
select ord, recipient_id, number, status, outcome, round, stamp, attempts, conversation_key, client_data, created_at,
    updated_at
from recipient
where batch_id = :batch_id and ord > :after
order by ord
limit :limit;

-- name: conversation_by_key
-- An attempt is a conversation once it had GO and did not turn out void.
select a.call_key, a.workspace_id, a.state, g.public_id as agent_public_id, g.name as agent_name,
    n.public_id as number_public_id, a.provider, n.phone_number as caller, a.number, a.recipient_id, a.round, a.go_at,
    a.ringing_at, a.answered_at, a.ended_at, a.ending, a.provider_call_id,
    case when b.hidden then null else b.public_id end as batch_public_id,
    coalesce(c.client_data, r.client_data) as client_data, c.said
from attempt a
join agent g on g.id = a.agent_id
join phone_number n on n.id = a.number_id
join batch b on b.id = a.batch_id
left join conversation c on c.call_key = a.call_key
left join recipient r on r.batch_id = a.batch_id and r.ord = a.ord
where a.call_key = :call_key and a.workspace_id = :workspace_id and a.state <> 'void' and a.state <> 'intent';
