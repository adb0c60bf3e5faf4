-- A list comes in; acts and their answers.

-- name: batch_open
insert into batch (
    workspace_id, public_id, name, agent_id, number_id, status, created_at, scheduled_at, updated_at, timezone,
    branch_id, environment, whatsapp_params, telephony_call_config, target_concurrency_limit, calling_hours, hidden
)
values (
    :workspace_id, :public_id, :name, :agent_id, :number_id, 'pending', :now, :scheduled_at, :now, :timezone,
    :branch_id, :environment, :whatsapp_params, :telephony_call_config, :target_concurrency_limit, :calling_hours,
    :hidden
)
returning id;

-- name: control_open
insert into batch_control (batch_id) values (:batch_id);

-- name: bucket_open
insert into bucket (key) values (:key) on conflict (key) do nothing;

-- name: window_classes_keep
insert into window_class (key)
select k.value from jsonb_array_elements_text(:keys::jsonb) k order by k.value
on conflict (key) do nothing;

-- name: window_classes_by_key
select id, key from window_class
where key in (select k.value from jsonb_array_elements_text(:keys::jsonb) k);

-- name: batch_windows_keep
insert into batch_window (batch_id, window_class)
select :batch_id::bigint, k.value::bigint from jsonb_array_elements_text(:classes::jsonb) k
on conflict (batch_id, window_class) do nothing;

-- name: recipients_stage
copy recipient (
    batch_id, ord, recipient_id, number, window_class, client_data, due_at, created_at, updated_at, whatsapp_user_id
) from stdin;

-- name: hopper_stage
copy due (batch_id, generation, window_class, due_at, ord) from stdin;

-- name: batch_seal
update batch
set sealed = true, created_at = :now, updated_at = :now,
    scheduled = (select count(*) from recipient where batch_id = :id)
where id = :id;

-- name: batch_abandon
-- Old enough to be swept at once.
update batch set created_at = 0 where id = :id and not sealed;

-- name: batch_abandoned
-- An hour is longer than any list takes to come in.
select id from batch where not sealed and created_at < :now::bigint - 3600000000 order by created_at limit 1;

-- name: recipients_drop
delete from recipient where batch_id = :batch_id and ord in (
    select ord from recipient where batch_id = :batch_id limit :limit
);

-- name: batch_windows_drop
delete from batch_window where batch_id = :batch_id;

-- name: control_drop
delete from batch_control where batch_id = :batch_id;

-- name: bucket_drop
delete from bucket where key = :key;

-- name: batch_drop
delete from batch where id = :id and not sealed;

-- name: request_claim
-- Waits for an uncommitted twin; answers a row only if no living answer is there.
insert into request as r (workspace_id, key, batch_id, taken, answer, answered_at, expires_at)
values (:workspace_id, :key, 0, 0, '', :now, :now)
on conflict (workspace_id, key) do update
set batch_id = 0, answered_at = excluded.answered_at, expires_at = excluded.expires_at
where r.expires_at <= excluded.answered_at
returning key;

-- name: request_answer
update request
set batch_id = :batch_id, taken = :taken, content = :content, answer = :answer, answered_at = :now,
    expires_at = :expires_at
where workspace_id = :workspace_id and key = :key;

-- name: request_heard
-- The answer was given: from then on the time of its twins runs.
update request set expires_at = :expires_at
where workspace_id = :workspace_id and key = :key and expires_at > :expires_at;

-- name: request_answered
select batch_id, taken, content, answer from request
where workspace_id = :workspace_id and key = :key and expires_at > :now::bigint and answer <> '';

-- name: requests_prune
delete from request where (workspace_id, key) in (
    select workspace_id, key from request where expires_at < :now::bigint order by expires_at limit 5000
);
