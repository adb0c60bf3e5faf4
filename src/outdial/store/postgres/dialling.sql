-- Claim, GO and what leads back from them.

-- name: batch_footprints
-- What a batch's calls count against.
select b.id, b.workspace_id, b.agent_id, b.number_id, n.trunk
from batch b
left join phone_number n on n.id = b.number_id
where b.id in (select k.value::bigint from jsonb_array_elements_text(:ids::jsonb) k);

-- name: batches_by_id
select v.* from batch_view v
where v.id in (select k.value::bigint from jsonb_array_elements_text(:ids::jsonb) k);

-- name: batches_ready
-- Somebody waits, it has begun, and nothing holds it; the least recently served first.
select v.*,
    (
        select min((
            select d.due_at from due d
            where d.batch_id = v.id and d.generation = v.generation and d.window_class = w.window_class
            order by d.due_at limit 1
        ))
        from batch_window w where w.batch_id = v.id
    ) as next_due,
    -- only a workspace's hours find people whose zones nobody asked for
    v.calling_hours is null and v.workspace_hours is not null and exists (
        select 1 from due d where d.batch_id = v.id and d.generation = v.generation and d.window_class = 0
    ) as unsorted
from batch_view v
where v.sealed and v.deleted_at is null and v.status in ('pending', 'in_progress')
    and v.dispatched < v.scheduled and v.scheduled_at <= :now::bigint and not v.cancelled and not v.paused
    and v.number_id is not null and (v.last_served, v.id) > (:served::bigint, :batch_id::bigint)
order by v.last_served, v.id
limit :limit;

-- name: windows_of
select w.batch_id, w.window_class, c.key
from batch_window w
left join window_class c on c.id = w.window_class
where w.batch_id in (select k.value::bigint from jsonb_array_elements_text(:ids::jsonb) k)
order by w.batch_id, w.window_class;

-- name: next_event
-- The next scheduled start or look-up.
select least(
    (
        select min(scheduled_at) from batch
        where sealed and deleted_at is null and status in ('pending', 'in_progress') and scheduled_at > :now::bigint
    ),
    (select min(check_at) from attempt where check_at is not null)
);

-- name: buckets_by_key
select b.* from bucket b
where b.key in (select k.value from jsonb_array_elements_text(:keys::jsonb) k);

-- name: buckets_of_batches
-- All that the calls of these batches count against.
select b.* from bucket b
where b.key = any (array(
    select unnest(array['w:' || v.workspace_id, 'a:' || v.agent_id, 'n:' || v.number_id, n.trunk, 'b:' || v.id])
    from batch v
    left join phone_number n on n.id = v.number_id
    where v.id in (select k.value::bigint from jsonb_array_elements_text(:ids::jsonb) k)
));

-- name: trying_of
-- How many calls try these trunks and may yet prove them, counted where they stand.
select a.trunk, count(*) as n
from attempt a
where a.trying and a.holds and a.state in ('intent', 'dialing') and a.trunk in (select k.value from jsonb_array_elements_text(:trunks::jsonb) k)
group by a.trunk;

-- name: quotas_of_batches
-- Of the agents of these batches whose calls a day are limited: how many are placed on this day.
select a.id as agent_id, a.daily_limit, coalesce(d.calls, 0) as placed
from agent a
left join agent_day d on d.agent_id = a.id and d.day = :day::bigint
where a.daily_limit is not null
    and a.id in (select b.agent_id from batch b where b.id in (select k.value::bigint from jsonb_array_elements_text(:ids::jsonb) k));

-- name: buckets_taken
-- The rows are locked since before they were read, so absolute values are right.
update bucket as b
set live = r.live, tokens = r.tokens, refilled_at = r.refilled_at, refusals = r.refusals, probe_at = r.probe_at
from jsonb_to_recordset(:rows::jsonb)
    as r (key text, live int, tokens float8, refilled_at bigint, refusals int, probe_at bigint)
where b.key = r.key;

-- name: node_holds
-- Leases are judged by the database's clock alone.
select 1 from node
where name = :name and epoch = :epoch and alive
    and heartbeat_at > (extract(epoch from clock_timestamp()) * 1000000)::bigint - :timeout::bigint;

-- name: claim_candidates
-- Who is due in one open window class, with what would keep him from being called now.
select d.due_at, d.ord, d.window_class, d.generation, r.recipient_id, r.number, r.round, r.stamp, r.client_data,
    r.setbacks, r.attempts, r.conversation_key, s.number is not null as suppressed, a.call_key is not null as busy
from due d
cross join lateral (
    -- offset 0: looked up by both columns. Else one of them is a constant, and the whole list may be walked for each
    select * from recipient p where p.batch_id = d.batch_id and p.ord = d.ord offset 0
) r
left join suppression s on s.workspace_id = :workspace_id and s.number = r.number
left join attempt a on a.workspace_id = :workspace_id and a.number = r.number and a.holds
where d.batch_id = :batch_id and d.generation = :generation and d.window_class = :window_class
    and d.due_at <= :now::bigint and r.status = 'pending'
order by d.due_at, d.ord
limit :limit;

-- name: hopper_next
-- When the next one of these window classes is due.
select min((
    select d.due_at from due d
    where d.batch_id = :batch_id and d.generation = :generation and d.window_class = k.value::bigint
    order by d.due_at limit 1
))
from jsonb_array_elements_text(:classes::jsonb) k;

-- name: attempts_claim
insert into attempt (
    call_key, workspace_id, batch_id, ord, recipient_id, number, agent_id, number_id, trunk, provider, round,
    generation, state, holds, node, epoch, check_at, heard_at, claimed_at, trying
)
select r.call_key, r.workspace_id, r.batch_id, r.ord, r.recipient_id, r.number, r.agent_id, r.number_id, r.trunk,
    r.provider, r.round, r.generation, 'intent', true, r.node, r.epoch, r.check_at, r.now, r.now, r.trying
from jsonb_to_recordset(:rows::jsonb) as r (
    call_key text, workspace_id bigint, batch_id bigint, ord int, recipient_id text, number text, agent_id bigint,
    number_id bigint, trunk text, provider text, round int, generation int, node text, epoch bigint, check_at bigint,
    now bigint, trying boolean
);

-- name: batches_served
update batch as b set last_served = :now::bigint, status = r.status
from jsonb_to_recordset(:rows::jsonb) as r (id bigint, status text)
where b.id = r.id;

-- name: attempt_footprints
select a.call_key, a.batch_id, a.workspace_id, a.agent_id, a.number_id, a.trunk
from attempt a
where a.call_key in (select k.value from jsonb_array_elements_text(:keys::jsonb) k);

-- name: cases
-- The attempt's own columns come first, in the table's order.
select a.*,
    r.window_class as r_window_class, r.status as r_status, r.outcome as r_outcome, r.round as r_round,
    r.stamp as r_stamp, r.generation as r_generation, r.due_at as r_due_at, r.setbacks as r_setbacks,
    r.attempts as r_attempts, r.attempt_key as r_attempt_key, r.conversation_key as r_conversation_key,
    b.last_decision as b_last_decision, b.undone as b_undone,
    c.generation as c_generation, c.cancelled as c_cancelled, c.paused as c_paused,
    n.state as current_state, s.number is not null as suppressed,
    w.hours_version
from attempt a
join workspace w on w.id = a.workspace_id
join batch b on b.id = a.batch_id
join batch_control c on c.batch_id = a.batch_id
left join recipient r on r.batch_id = a.batch_id and r.ord = a.ord
left join attempt n on n.call_key = r.attempt_key
left join suppression s on s.workspace_id = a.workspace_id and s.number = a.number
where a.call_key in (select k.value from jsonb_array_elements_text(:keys::jsonb) k);

-- name: nodes_bury
-- Whoever has not been heard of is dead: if it comes back, it needs a new epoch.
update node set alive = false
where alive and not (name = :name and epoch = :epoch)
    and heartbeat_at <= (extract(epoch from clock_timestamp()) * 1000000)::bigint - :timeout::bigint;

-- name: attempts_of_the_dead
-- Open attempts whose owner's epoch is not alive. Epoch 0: taken back already.
select a.call_key from attempt a
where a.state in ('intent', 'dialing', 'ringing', 'live') and a.epoch <> 0
    and not exists (select 1 from node n where n.name = a.node and n.epoch = a.epoch and n.alive)
limit :limit;

-- name: dead_found
-- Whether there is anything to take back: asked often, and nearly always answered no.
select 1 where exists (
    select 1 from node
    where alive and not (name = :name and epoch = :epoch)
        and heartbeat_at <= (extract(epoch from clock_timestamp()) * 1000000)::bigint - :timeout::bigint
) or exists (
    select 1 from attempt a
    where a.state in ('intent', 'dialing', 'ringing', 'live') and a.epoch <> 0
        and not exists (select 1 from node n where n.name = a.node and n.epoch = a.epoch and n.alive)
);
