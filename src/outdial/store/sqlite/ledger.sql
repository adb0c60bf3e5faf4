-- What follows from a change of calls, written in a few statements for all of a transaction.

-- name: attempts_write
update attempt as a
set state = r.state, holds = r.holds, give_up = r.give_up, node = r.node, epoch = r.epoch, check_at = r.check_at,
    heard_at = r.heard_at, go_at = r.go_at, sent_at = r.sent_at, ringing_at = r.ringing_at,
    answered_at = r.answered_at, ended_at = r.ended_at, ring_secs = r.ring_secs, talk_secs = r.talk_secs,
    horizon_secs = r.horizon_secs, provider_call_id = r.provider_call_id, outcome = r.outcome, ending = r.ending,
    reason = r.reason
from (
    select value ->> 'call_key' as call_key, value ->> 'state' as state, value ->> 'holds' as holds,
        value ->> 'give_up' as give_up, value ->> 'node' as node, value ->> 'epoch' as epoch,
        value ->> 'check_at' as check_at, value ->> 'heard_at' as heard_at, value ->> 'go_at' as go_at,
        value ->> 'sent_at' as sent_at, value ->> 'ringing_at' as ringing_at,
        value ->> 'answered_at' as answered_at, value ->> 'ended_at' as ended_at,
        value ->> 'ring_secs' as ring_secs, value ->> 'talk_secs' as talk_secs,
        value ->> 'horizon_secs' as horizon_secs, value ->> 'provider_call_id' as provider_call_id,
        value ->> 'outcome' as outcome, value ->> 'ending' as ending, value ->> 'reason' as reason
    from json_each(:rows)
) as r
where a.call_key = r.call_key;

-- name: recipients_write
update recipient as p
set status = r.status, outcome = r.outcome, round = r.round, stamp = r.stamp, generation = r.generation,
    due_at = r.due_at, setbacks = r.setbacks, attempts = r.attempts, attempt_key = r.attempt_key,
    conversation_key = r.conversation_key, updated_at = :now
from (
    select value ->> 'batch_id' as batch_id, value ->> 'ord' as ord, value ->> 'status' as status,
        value ->> 'outcome' as outcome, value ->> 'round' as round, value ->> 'stamp' as stamp,
        value ->> 'generation' as generation, value ->> 'due_at' as due_at, value ->> 'setbacks' as setbacks,
        value ->> 'attempts' as attempts, value ->> 'attempt_key' as attempt_key,
        value ->> 'conversation_key' as conversation_key
    from json_each(:rows)
) as r
where p.batch_id = r.batch_id and p.ord = r.ord;

-- name: hopper_in
insert into due (batch_id, generation, window_class, due_at, ord)
select r.batch_id, r.generation, r.window_class, r.due_at, r.ord
from (
    select value ->> 'batch_id' as batch_id, value ->> 'generation' as generation,
        value ->> 'window_class' as window_class, value ->> 'due_at' as due_at, value ->> 'ord' as ord
    from json_each(:rows)
) as r;

-- name: hopper_out
delete from due
where (batch_id, generation, window_class, due_at, ord) in (
    select value ->> 'batch_id', value ->> 'generation', value ->> 'window_class', value ->> 'due_at', value ->> 'ord'
    from json_each(:rows)
);

-- name: slots_move
update bucket as b set live = b.live + r.n
from (
    select value ->> 'key' as key, value ->> 'n' as n
    from json_each(:rows)
) as r
where b.key = r.key;

-- name: days_move
-- A day that was struck off is not begun again by what is taken off it.
insert into agent_day as d (day, agent_id, calls)
select r.day, r.agent_id, r.n
from (
    select value ->> 'day' as day, value ->> 'agent_id' as agent_id, value ->> 'n' as n
    from json_each(:rows)
) as r
where r.n > 0 or exists (select 1 from agent_day o where o.day = r.day and o.agent_id = r.agent_id)
order by r.agent_id, r.day
on conflict (day, agent_id) do update set calls = d.calls + excluded.calls;

-- name: days_prune
-- A week later nothing is taken off a day any more.
delete from agent_day where day < :now / 86400000000 - 7;

-- name: conversations_keep
-- The recipient's data is copied: deleting a batch erases its recipients, conversations stay.
insert into conversation (call_key, workspace_id, client_data, said, agent_id, batch_id, started_at)
select r.call_key, r.workspace_id, coalesce(p.client_data, '{}'), r.said, r.agent_id, r.batch_id, r.started_at
from (
    select value ->> 'call_key' as call_key, value ->> 'workspace_id' as workspace_id,
        value ->> 'batch_id' as batch_id, value ->> 'ord' as ord, value ->> 'said' as said,
        value ->> 'agent_id' as agent_id, value ->> 'started_at' as started_at
    from json_each(:rows)
) as r
left join recipient p on p.batch_id = r.batch_id and p.ord = r.ord
where true
on conflict (call_key) do update
set said = case
    when excluded.said = '[]' or conversation.deleted_at is not null then conversation.said
    else excluded.said
end;

-- name: outbox_put
insert into outbox (workspace_id, topic, batch_id, call_key, at)
select r.workspace_id, r.topic, r.batch_id, r.call_key, r.at
from (
    select value ->> 'workspace_id' as workspace_id, value ->> 'topic' as topic,
        value ->> 'batch_id' as batch_id, value ->> 'call_key' as call_key, value ->> 'at' as at
    from json_each(:rows)
) as r;

-- name: outbox_prune
-- A week is longer than anybody waits for news. Only the oldest are looked at: the ids are in the order of time.
delete from outbox where at < :now - 604800000000 and id in (select id from outbox order by id limit 5000);

-- name: tally_move
insert into tally as t (batch_id, outcome, n)
select r.batch_id, r.outcome, r.n
from (
    select value ->> 'batch_id' as batch_id, value ->> 'outcome' as outcome, value ->> 'n' as n
    from json_each(:rows)
) as r
where true
order by r.batch_id, r.outcome
on conflict (batch_id, outcome) do update set n = t.n + excluded.n;

-- name: tallies_of
select t.batch_id, t.outcome, t.n from tally t
where t.batch_id in (select k.value from json_each(:ids) k);

-- name: batch_move
update batch as b
set dispatched = b.dispatched + r.dispatched, finished = b.finished + r.finished, updated_at = :now
from (
    select value ->> 'id' as id, value ->> 'dispatched' as dispatched, value ->> 'finished' as finished
    from json_each(:rows)
) as r
where b.id = r.id
returning id, workspace_id, scheduled, dispatched, finished, status;

-- name: batch_status
update batch as b set status = r.status, status_reason = r.reason, updated_at = :now
from (
    select value ->> 'id' as id, value ->> 'status' as status, value ->> 'reason' as reason
    from json_each(:rows)
) as r
where b.id = r.id;
