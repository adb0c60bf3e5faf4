-- What people ask.

-- name: batches_of_workspace
select v.* from batch_view v
where v.workspace_id = :workspace_id and v.sealed and v.deleted_at is null and not v.hidden
    and (:agent_public_id::text is null or v.agent_public_id = :agent_public_id::text)
    and (:created_at::bigint is null or (v.created_at, v.id) < (:created_at::bigint, :batch_id::bigint))
order by v.created_at desc, v.id desc
limit :limit;

-- name: recipients_after
select ord, recipient_id, number, status, outcome, round, stamp, attempts, conversation_key, client_data, created_at,
    updated_at, whatsapp_user_id
from recipient
where batch_id = :batch_id and ord > :after
order by ord
limit :limit;

-- name: conversation_by_key
-- An attempt is a conversation once it had GO and did not turn out void, until it is deleted.
select v.*, coalesce(c.client_data, r.client_data) as client_data, c.said
from call_view v
left join conversation c on c.call_key = v.call_key
left join recipient r on r.batch_id = v.batch_id and r.ord = v.ord
where v.call_key = :call_key and v.workspace_id = :workspace_id and c.deleted_at is null;
