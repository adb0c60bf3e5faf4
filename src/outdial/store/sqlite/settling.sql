-- What the networks report, and asking them.

-- name: events_keep
-- Each report once; answers the new ones.
insert into event (event_id, call_key, kind, received_at)
select r.event_id, r.call_key, r.kind, :now
from (
    select value ->> 'event_id' as event_id, value ->> 'call_key' as call_key, value ->> 'kind' as kind
    from json_each(:rows)
) as r
where true
order by r.event_id
on conflict (event_id) do nothing
returning event_id;

-- name: events_prune
-- A week is longer than any network repeats itself.
delete from event where event_id in (
    select event_id from event where received_at < :now - 604800000000 order by received_at limit 5000
);

-- name: trunks_by_key
-- The sick ones; all of them when one of their calls came to harm.
select b.* from bucket b
where b.key in (select k.value from json_each(:keys) k)
    and (:all or b.refusals > 0 or b.faults > 0 or b.probe_at is not null);

-- name: trunks_write
update bucket as b
set refusals = r.refusals, probe_at = r.probe_at, faults = r.faults, halted_at = r.halted_at,
    halted_reason = r.halted_reason, trouble_at = r.trouble_at, unproven = r.unproven
from (
    select value ->> 'key' as key, value ->> 'refusals' as refusals, value ->> 'probe_at' as probe_at,
        value ->> 'faults' as faults, value ->> 'halted_at' as halted_at,
        value ->> 'halted_reason' as halted_reason, value ->> 'trouble_at' as trouble_at,
        value ->> 'unproven' as unproven
    from json_each(:rows)
) as r
where b.key = r.key;

-- name: checks_take
-- Nobody else looks these up for a while.
update attempt set check_at = :until
where call_key in (
    select call_key from attempt where check_at <= :now order by check_at limit :limit
)
returning *;

-- name: nodes_alive
select name, epoch from node where alive;

-- name: attempts_check_later
update attempt as a set check_at = r.check_at
from (
    select value ->> 'call_key' as call_key, value ->> 'check_at' as check_at
    from json_each(:rows)
) as r
where a.call_key = r.call_key and a.check_at is not null;

-- name: attempts_adopt
update attempt as a set node = r.node, epoch = r.epoch
from (
    select value ->> 'call_key' as call_key, value ->> 'node' as node, value ->> 'epoch' as epoch
    from json_each(:rows)
) as r
where a.call_key = r.call_key and a.epoch = :nobody;

-- name: attempts_given_up
-- Under way, and a cancel asked for its end; live ones only where it asked for those too.
select a.call_key, a.provider, a.number_id, a.give_up from attempt a
where a.state in ('intent', 'dialing', 'ringing', 'live') and a.give_up > 0
    and (a.state in ('dialing', 'ringing') or (a.state = 'live' and a.give_up > 1))
    and (:batch_id is null or a.batch_id = :batch_id);

-- name: batch_to_expire
-- A batch with somebody waiting whose trunk was halted that long ago.
select b.id from batch b
join phone_number n on n.id = b.number_id
join bucket t on t.key = n.trunk
where b.sealed and b.deleted_at is null and b.status in ('pending', 'in_progress') and b.dispatched < b.scheduled
    and t.halted_at <= :halted_before
order by b.id
limit 1;

-- name: hopper_of
-- A stretch of those who wait, as decided: only the current generation waits.
select r.ord as r_ord, r.window_class as r_window_class, r.status as r_status, r.outcome as r_outcome,
    r.round as r_round, r.stamp as r_stamp, r.generation as r_generation, r.due_at as r_due_at,
    r.setbacks as r_setbacks, r.attempts as r_attempts, r.attempt_key as r_attempt_key,
    r.conversation_key as r_conversation_key, b.last_decision as b_last_decision, b.workspace_id as b_workspace_id
from due d
join batch b on b.id = d.batch_id
join batch_control c on c.batch_id = d.batch_id and c.generation = d.generation
join recipient r on r.batch_id = d.batch_id and r.ord = d.ord
where d.batch_id = :batch_id and r.status = 'pending'
limit :limit;

-- name: number_held
-- Whether a call to this number is open.
select 1 from attempt where workspace_id = :workspace_id and number = :number and holds;
