-- What follows from a change of calls, written in a few statements for all of a transaction.

-- name: attempts_write
update attempt as a
set state = r.state, holds = r.holds, give_up = r.give_up, node = r.node, epoch = r.epoch, check_at = r.check_at,
    heard_at = r.heard_at, go_at = r.go_at, sent_at = r.sent_at, ringing_at = r.ringing_at,
    answered_at = r.answered_at, ended_at = r.ended_at, ring_secs = r.ring_secs, talk_secs = r.talk_secs,
    horizon_secs = r.horizon_secs, provider_call_id = r.provider_call_id, outcome = r.outcome, ending = r.ending,
    reason = r.reason
from jsonb_to_recordset(:rows::jsonb) as r (
    call_key text, state text, holds boolean, give_up smallint, node text, epoch bigint, check_at bigint,
    heard_at bigint, go_at bigint, sent_at bigint, ringing_at bigint, answered_at bigint, ended_at bigint,
    ring_secs float8, talk_secs float8, horizon_secs float8, provider_call_id text, outcome text, ending text,
    reason text
)
where a.call_key = r.call_key;

-- name: recipients_write
update recipient as p
set status = r.status, outcome = r.outcome, round = r.round, stamp = r.stamp, generation = r.generation,
    due_at = r.due_at, setbacks = r.setbacks, attempts = r.attempts, attempt_key = r.attempt_key,
    conversation_key = r.conversation_key, updated_at = :now::bigint
from jsonb_to_recordset(:rows::jsonb) as r (
    batch_id bigint, ord int, status text, outcome text, round int, stamp int, generation int, due_at bigint,
    setbacks int, attempts int, attempt_key text, conversation_key text
)
where p.batch_id = r.batch_id and p.ord = r.ord;

-- name: hopper_in
insert into due (batch_id, generation, window_class, due_at, ord)
select r.batch_id, r.generation, r.window_class, r.due_at, r.ord
from jsonb_to_recordset(:rows::jsonb)
    as r (batch_id bigint, generation int, window_class bigint, due_at bigint, ord int);

-- name: hopper_out
delete from due d
using jsonb_to_recordset(:rows::jsonb)
    as r (batch_id bigint, generation int, window_class bigint, due_at bigint, ord int)
where d.batch_id = r.batch_id and d.generation = r.generation and d.window_class = r.window_class
    and d.due_at = r.due_at and d.ord = r.ord;

-- name: slots_move
update bucket as b set live = b.live + r.n
from jsonb_to_recordset(:rows::jsonb) as r (key text, n int)
where b.key = r.key;

-- name: days_move
-- A day that was struck off is not begun again by what is taken off it.
insert into agent_day as d (day, agent_id, calls)
select r.day, r.agent_id, r.n
from jsonb_to_recordset(:rows::jsonb) as r (day int, agent_id bigint, n int)
where r.n > 0 or exists (select 1 from agent_day o where o.day = r.day and o.agent_id = r.agent_id)
order by r.agent_id, r.day
on conflict (day, agent_id) do update set calls = d.calls + excluded.calls;

-- name: days_prune
-- A week later nothing is taken off a day any more.
delete from agent_day where day < :now::bigint / 86400000000 - 7;

-- name: conversations_keep
-- The recipient's data is copied: deleting a batch erases its recipients, conversations stay.
insert into conversation (call_key, workspace_id, client_data, said, agent_id, batch_id, started_at)
select r.call_key, r.workspace_id, coalesce(p.client_data, '{}'), r.said, r.agent_id, r.batch_id, r.started_at
from jsonb_to_recordset(:rows::jsonb)
    as r (
        call_key text, workspace_id bigint, batch_id bigint, ord int, said text, agent_id bigint, started_at bigint
    )
left join recipient p on p.batch_id = r.batch_id and p.ord = r.ord
on conflict (call_key) do update
set said = case
    when excluded.said = '[]' or conversation.deleted_at is not null then conversation.said
    else excluded.said
end;

-- name: outbox_put
insert into outbox (workspace_id, topic, batch_id, call_key, at)
select r.workspace_id, r.topic, r.batch_id, r.call_key, r.at
from jsonb_to_recordset(:rows::jsonb)
    as r (workspace_id bigint, topic text, batch_id bigint, call_key text, at bigint);

-- name: outbox_prune
-- A week is longer than anybody waits for news. Only the oldest are looked at: the ids are in the order of time.
delete from outbox where at < :now::bigint - 604800000000 and id in (select id from outbox order by id limit 5000);

-- name: tally_move
insert into tally as t (batch_id, outcome, n)
select r.batch_id, r.outcome, r.n
from jsonb_to_recordset(:rows::jsonb) as r (batch_id bigint, outcome text, n int)
order by r.batch_id, r.outcome
on conflict (batch_id, outcome) do update set n = t.n + excluded.n;

-- name: tallies_of
select t.batch_id, t.outcome, t.n from tally t
where t.batch_id in (select k.value::bigint from jsonb_array_elements_text(:ids::jsonb) k);

-- name: batch_move
update batch as b
set dispatched = b.dispatched + r.dispatched, finished = b.finished + r.finished, updated_at = :now::bigint
from jsonb_to_recordset(:rows::jsonb) as r (id bigint, dispatched int, finished int)
where b.id = r.id
returning b.id, b.workspace_id, b.scheduled, b.dispatched, b.finished, b.status;

-- name: batch_status
update batch as b set status = r.status, status_reason = r.reason, updated_at = :now::bigint
from jsonb_to_recordset(:rows::jsonb) as r (id bigint, status text, reason text)
where b.id = r.id;
