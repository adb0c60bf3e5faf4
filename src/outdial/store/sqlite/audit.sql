-- Recounts for the doctor: what the rows say, to be held against what was counted. They read whole tables.

-- name: audit_batches
select b.id, b.public_id, b.status, b.scheduled, b.dispatched, b.finished, b.undone
from batch b
where b.sealed and b.deleted_at is null
order by b.id;

-- name: audit_decisions
-- Also of deleted batches.
select b.id, b.public_id, b.undone, count(d.number) as filed
from batch b
left join decision d on d.batch_id = b.id
group by b.id, b.public_id, b.undone
having b.undone <> count(d.number)
order by b.id;

-- name: audit_undone
select d.* from decision d order by d.batch_id, d.number;

-- name: audit_people
-- Everything that a decision judges by: so few groups that decisions can be applied to them.
select r.batch_id, r.status, r.outcome, r.round, r.stamp, count(*) as n
from recipient r
join batch b on b.id = r.batch_id
where b.sealed and b.deleted_at is null
group by r.batch_id, r.status, r.outcome, r.round, r.stamp;

-- name: audit_tallies
select t.batch_id, t.outcome, t.n from tally t
join batch b on b.id = t.batch_id
where b.sealed and b.deleted_at is null and t.n <> 0;

-- name: audit_slots
select key, live from bucket where live <> 0;

-- name: audit_held
select workspace_id, agent_id, number_id, trunk, batch_id, count(*) as n
from attempt
where holds
group by workspace_id, agent_id, number_id, trunk, batch_id;

-- name: audit_days
select agent_id, day, calls from agent_day where calls <> 0;

-- name: audit_placed
-- As far back as days are kept.
select agent_id, coalesce(go_at, claimed_at) / 86400000000 as day, count(*) as n
from attempt
where state <> 'void' and coalesce(go_at, claimed_at) / 86400000000 >= (select min(day) from agent_day)
group by agent_id, coalesce(go_at, claimed_at) / 86400000000;

-- name: audit_not_in_hopper
select r.batch_id, count(*) as n
from recipient r
join batch b on b.id = r.batch_id
where b.sealed and b.deleted_at is null and r.status = 'pending' and not exists (
    select 1 from due d
    where d.batch_id = r.batch_id and d.generation = r.generation and d.window_class = r.window_class
        and d.due_at = r.due_at and d.ord = r.ord
)
group by r.batch_id;

-- name: audit_only_in_hopper
-- Waits of older generations are left to the sweep, as long as it has something to do.
select d.batch_id, count(*) as n
from due d
join batch b on b.id = d.batch_id
join batch_control c on c.batch_id = d.batch_id
where b.sealed and b.deleted_at is null and (d.generation = c.generation or b.undone = 0) and not exists (
    select 1 from recipient r
    where r.batch_id = d.batch_id and r.ord = d.ord and r.status = 'pending' and r.due_at = d.due_at
        and r.generation = d.generation
)
group by d.batch_id;

-- name: audit_standing
-- Each recipient beside its current attempt.
select r.batch_id, r.status, r.outcome, a.state, a.outcome as attempt_outcome, count(*) as n
from recipient r
join batch b on b.id = r.batch_id
left join attempt a on a.call_key = r.attempt_key
where b.sealed and b.deleted_at is null
group by r.batch_id, r.status, r.outcome, a.state, a.outcome;

-- name: audit_tries
-- A void attempt counts as nothing.
select x.batch_id, count(*) as n
from (
    select r.batch_id, r.ord
    from recipient r
    join batch b on b.id = r.batch_id
    left join attempt a on a.batch_id = r.batch_id and a.ord = r.ord and a.state <> 'void'
    where b.sealed and b.deleted_at is null
    group by r.batch_id, r.ord, r.attempts
    having r.attempts <> count(a.call_key)
) as x
group by x.batch_id;

-- name: audit_attempts
-- Attempts that contradict themselves. (One may be up without slots: its number was being called again when it was found.)
select a.batch_id, b.public_id,
    sum(case when a.holds and a.state in ('ended', 'void', 'unknown') then 1 else 0 end) as over_and_held,
    sum(
        case when a.check_at is null and a.state in ('intent', 'dialing', 'ringing', 'live') then 1 else 0 end
    ) as without_exit,
    sum(
        case
            when a.state in ('ended', 'unknown') and (a.outcome is null or a.ended_at is null) then 1 else 0
        end
    ) as without_outcome
from attempt a
join batch b on b.id = a.batch_id
where (a.holds and a.state in ('ended', 'void', 'unknown'))
    or (a.check_at is null and a.state in ('intent', 'dialing', 'ringing', 'live'))
    or (a.state in ('ended', 'unknown') and (a.outcome is null or a.ended_at is null))
group by a.batch_id, b.public_id;

-- name: audit_overdue
-- Calls that nobody looked up although it was time.
select count(*) as n, min(check_at) as since from attempt where check_at < :before;

-- name: audit_numbers
select n.*, coalesce(t.halted_reason, '') as halted_reason, null as agent_public_id, null as agent_name
from phone_number n
left join bucket t on t.key = n.trunk
where n.deleted_at is null
order by n.id;

-- name: audit_halted
-- Numbers whose trunk is halted, each with the first batch that waits for it, if one does.
select
    n.public_id,
    n.provider,
    t.halted_reason,
    (
        select b.public_id from batch b
        where b.number_id = n.id and b.deleted_at is null and b.status in ('pending', 'in_progress')
        order by b.id limit 1
    ) as waiting
from bucket t
join phone_number n on n.trunk = t.key and n.deleted_at is null
where t.halted_at is not null
order by n.id;

-- name: audit_newest
select max(updated_at) from batch;

-- name: audit_nodes
select name, epoch, heartbeat_at, alive from node order by name;

-- name: audit_providers
select distinct provider from phone_number where deleted_at is null order by provider;

-- name: audit_begin
select 1;
