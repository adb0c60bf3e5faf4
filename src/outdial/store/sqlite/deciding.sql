-- Cancel, retry, delete, pause: decided in one step, carried out in stretches.

-- name: batch_by_public_id
select v.* from batch_view v
where v.workspace_id = :workspace_id and v.public_id = :public_id and v.sealed and v.deleted_at is null;

-- name: decision_file
insert into decision (batch_id, number, kind, round, generation, outcomes, decided_at)
values (:batch_id, :number, :kind, :round, :generation, :outcomes, :now);

-- name: batch_undone
update batch set undone = undone + :n where id = :id;

-- name: decisions_undone
select d.*, b.scheduled from decision d
join batch b on b.id = d.batch_id
where d.batch_id in (select k.value from json_each(:ids) k)
order by d.batch_id, d.number;

-- name: decision_next
-- The next batch with row work. A deletion waits until no attempt of its batch is open.
select b.id as batch_id from batch b
where b.undone > 0 and not (
    (select d.kind from decision d where d.batch_id = b.id order by d.number limit 1) = 'delete'
    and exists (
        select 1 from attempt a where a.batch_id = b.id and a.state in ('intent', 'dialing', 'ringing', 'live')
    )
)
order by b.id
limit 1;

-- name: decision_walked
update decision set after_ord = :after_ord where batch_id = :batch_id and number = :number;

-- name: decision_strike
delete from decision where batch_id = :batch_id and number = :number;

-- name: batch_retried
update batch
set last_decision = :number, retry_count = :retry_count, status = :status, status_reason = '', updated_at = :now
where id = :id;

-- name: control_reopen
update batch_control set cancelled = false where batch_id = :batch_id;

-- name: control_cancel
update batch_control set cancelled = true, paused = false, generation = :generation where batch_id = :batch_id;

-- name: control_pause
update batch_control set paused = :paused where batch_id = :batch_id;

-- name: batch_cancelled
update batch set last_decision = :number, status = :status, status_reason = '', updated_at = :now where id = :id;

-- name: batch_hide
update batch set deleted_at = :now, updated_at = :now where id = :id;

-- name: batch_touch
update batch set updated_at = :now where id = :id;

-- name: attempts_open_of
select call_key from attempt
where batch_id = :batch_id and state in ('intent', 'dialing', 'ringing', 'live');

-- name: trunk_resume
-- One call tries it; one more fault halts it again (domain/backoff.py).
update bucket
set refusals = 2, probe_at = :now, faults = 2, halted_at = null, halted_reason = '', unproven = 1
where key = (select trunk from batch_view where id = :batch_id) and halted_reason <> '';

-- name: recipients_retry
-- Exactly those who ended so before this decision; where an attempt ended after it, the stamp is not below.
update recipient
set status = 'pending', outcome = null, round = :round, stamp = :number, generation = :generation, due_at = :now,
    setbacks = 0, attempt_key = null, updated_at = :now
where batch_id = :batch_id and ord > :after and ord <= :upto and stamp < :number
    and outcome in (select k.value from json_each(:outcomes) k);

-- name: hopper_retry
insert into due (batch_id, generation, window_class, due_at, ord)
select batch_id, generation, window_class, due_at, ord from recipient
where batch_id = :batch_id and ord > :after and ord <= :upto and stamp = :number and status = 'pending'
    and generation = :generation and due_at = :now
on conflict do nothing;

-- name: recipients_cancel
update recipient
set status = 'cancelled', outcome = 'cancelled', stamp = :number, due_at = null, updated_at = :now
where batch_id = :batch_id and ord > :after and ord <= :upto and stamp < :number and status = 'pending';

-- name: recipients_delete
delete from recipient where batch_id = :batch_id and ord > :after and ord <= :upto;

-- name: hopper_clear
-- Waits of older generations.
delete from due
where (batch_id, generation, window_class, due_at, ord) in (
    select batch_id, generation, window_class, due_at, ord from due
    where batch_id = :batch_id and generation < :before
    limit :limit
);

-- name: tally_drop
delete from tally where batch_id = :batch_id;

-- name: recipient_decided
-- One row brought up to its batch's decisions ahead of the sweep.
update recipient
set status = :status, outcome = :outcome, round = :round, stamp = :stamp, generation = :generation, due_at = :due_at,
    setbacks = 0, attempt_key = null
where batch_id = :batch_id and ord = :ord;
