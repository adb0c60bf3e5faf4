-- Plain statements that write what a call writes: what the server's own work is measured against.

-- name: plain_candidates
select ord from due
where batch_id = :batch_id and generation = 0 and window_class = 0 and due_at <= :due_at
order by due_at, ord
limit :n;

-- name: plain_intend
insert into attempt (
    call_key, workspace_id, batch_id, ord, recipient_id, number, agent_id, number_id, trunk, provider, round,
    generation, state, holds, node, epoch, check_at, heard_at, claimed_at
)
select k.call_key, :workspace_id, p.batch_id, p.ord, p.recipient_id, p.number, :agent_id, :number_id, :trunk,
    'loopback', 0, 0, 'intent', true, 'plain', 1, :check_at, :now, :now
from unnest(:keys::text[], :ords::int[]) as k (call_key, ord)
join recipient p on p.batch_id = :batch_id and p.ord = k.ord;

-- name: plain_unhop
delete from due
where batch_id = :batch_id and generation = 0 and window_class = 0 and due_at = :due_at
    and ord = any(:ords::int[]);

-- name: plain_dispatched
update recipient as p
set status = 'dispatched', due_at = null, attempts = p.attempts + 1, attempt_key = k.call_key, updated_at = :now
from unnest(:keys::text[], :ords::int[]) as k (call_key, ord)
where p.batch_id = :batch_id and p.ord = k.ord;

-- name: plain_day
insert into agent_day as d (day, agent_id, calls) values (:now::bigint / 86400000000, :agent_id, :n::int)
on conflict (day, agent_id) do update set calls = d.calls + excluded.calls;

-- name: plain_slots
update bucket set live = live + :n, refilled_at = :now
where key = any(:keys::text[]);

-- name: plain_batch
update batch
set dispatched = dispatched + :dispatched, finished = finished + :finished, status = :status, last_served = :now,
    updated_at = :now
where id = :batch_id;

-- name: plain_go
update attempt
set state = 'dialing', go_at = :now, heard_at = :now, check_at = :check_at, ring_secs = 60, talk_secs = 600,
    horizon_secs = 5
where call_key = any(:keys::text[]);

-- name: plain_ended
update attempt
set state = 'ended', holds = false, check_at = null, heard_at = :now, sent_at = :now, ended_at = :now,
    outcome = 'completed', ending = :ending
where call_key = any(:keys::text[]);

-- name: plain_words
insert into conversation (call_key, workspace_id, client_data, said)
select k.call_key, :workspace_id, p.client_data, '[]'
from unnest(:keys::text[], :ords::int[]) as k (call_key, ord)
join recipient p on p.batch_id = :batch_id and p.ord = k.ord;

-- name: plain_outbox
insert into outbox (workspace_id, topic, batch_id, call_key, at)
select :workspace_id, 'call_ended', :batch_id, k.call_key, :now from unnest(:keys::text[]) as k (call_key);

-- name: plain_completed
update recipient as p
set status = 'completed', outcome = 'completed', conversation_key = p.attempt_key, updated_at = :now
where p.batch_id = :batch_id and p.ord = any(:ords::int[]);

-- name: plain_tally
insert into tally as t (batch_id, outcome, n) values (:batch_id, 'completed', :n)
on conflict (batch_id, outcome) do update set n = t.n + excluded.n;

-- name: plain_ends
-- Fills: everybody was called once; three of ten were busy.
update recipient
set status = case when ord % 10 < 3 then 'failed' else 'completed' end,
    outcome = case when ord % 10 < 3 then 'busy' else 'completed' end, attempts = 1, due_at = null
where batch_id = :batch_id;

-- name: plain_unhop_all
delete from due where batch_id = :batch_id;

-- name: plain_count
insert into tally (batch_id, outcome, n)
select batch_id, outcome, count(*) from recipient where batch_id = :batch_id group by batch_id, outcome;

-- name: plain_over
update batch set status = 'completed', dispatched = scheduled, finished = scheduled where id = :batch_id;

-- name: plain_retry
-- A whole retry: one statement for the people, one for the hopper.
update recipient
set status = 'pending', outcome = null, round = 1, stamp = 1, due_at = :now, setbacks = 0, attempt_key = null,
    updated_at = :now
where batch_id = :batch_id and outcome = 'busy';

-- name: plain_hop
insert into due (batch_id, generation, window_class, due_at, ord)
select batch_id, generation, window_class, due_at, ord from recipient
where batch_id = :batch_id and status = 'pending';

-- name: plain_retried
update batch
set status = 'pending', retry_count = 1, last_decision = 1, dispatched = dispatched - :n, finished = finished - :n
where id = :batch_id;

-- name: plain_cancel
update recipient
set status = 'cancelled', outcome = 'cancelled', stamp = 1, due_at = null, updated_at = :now
where batch_id = :batch_id and status = 'pending';

-- name: plain_cancelled
update batch set status = 'cancelled', last_decision = 1, dispatched = scheduled, finished = scheduled
where id = :batch_id;

-- name: plain_get
select v.* from batch_view v where v.workspace_id = :workspace_id and v.public_id = :public_id;

-- name: plain_list
select v.* from batch_view v where v.workspace_id = :workspace_id and v.sealed and v.deleted_at is null
order by v.created_at desc, v.id desc limit 30;

-- name: plain_cap
update bucket set cap = :cap where key = :key;

-- name: plain_waiting
select count(*) from due d where d.batch_id = :batch_id;
