-- Why nobody is being dialled.

-- name: queues_of
-- The window classes of these batches, each with the first who is due: one look into the hopper for each.
select w.batch_id, w.window_class, c.key, (
    select d.due_at from due d
    where d.batch_id = w.batch_id and d.generation = t.generation and d.window_class = w.window_class
    order by d.due_at limit 1
) as next_due
from batch_window w
join batch_control t on t.batch_id = w.batch_id
left join window_class c on c.id = w.window_class
where w.batch_id in (select k.value::bigint from jsonb_array_elements_text(:ids::jsonb) k);

-- name: hopper_front
-- The first who wait in one window class, with what would keep each from being called.
select f.due_at, r.setbacks, exists (
    select 1 from attempt a where a.workspace_id = :workspace_id and a.number = r.number and a.holds
) as busy
from (
    select d.batch_id, d.ord, d.due_at from due d
    where d.batch_id = :batch_id and d.generation = :generation and d.window_class = :window_class
    order by d.due_at
    limit :limit
) f
join recipient r on r.batch_id = f.batch_id and r.ord = f.ord;

-- name: in_doubt
-- Open calls whose owner is gone, or that were sent and had no word since: how many of each batch, and by
-- when the last of them must be over (micros; the checker waits as long where there is no look-up).
select a.batch_id, count(*) as calls,
    max(a.go_at + ((:send_secs + a.ring_secs + a.talk_secs + a.horizon_secs) * 1000000)::bigint) as over_at
from attempt a
where a.batch_id in (select k.value::bigint from jsonb_array_elements_text(:ids::jsonb) k)
    and a.state in ('dialing', 'ringing', 'live') and a.go_at is not null
    and (a.epoch = :nobody or (a.state = 'dialing' and a.sent_at is null and a.go_at <= :silent_since))
group by a.batch_id;
