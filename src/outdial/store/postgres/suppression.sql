-- name: suppress
-- Who is on the list already keeps the first reason.
insert into suppression (workspace_id, number, reason, source, created_at)
select :workspace_id, r.number, r.reason, :source, :created_at
from jsonb_to_recordset(:rows::jsonb) as r (number text, reason text)
on conflict (workspace_id, number) do nothing;

-- name: unsuppress
-- An array: looked up number by number, however few the planner believes to be there.
delete from suppression
where workspace_id = :workspace_id
    and number = any (array(select k.value from jsonb_array_elements_text(:numbers::jsonb) as k));

-- name: suppressed
select number, reason, source, created_at from suppression
where workspace_id = :workspace_id
    and number = any (array(select k.value from jsonb_array_elements_text(:numbers::jsonb) as k));

-- name: suppressions_after
select number, reason, source, created_at from suppression
where workspace_id = :workspace_id and number > :after
order by number
limit :limit;

-- name: recipients_listed
-- Who of a stretch that was just staged is on the list.
select r.ord, r.window_class, r.generation, r.due_at
from recipient r
join batch b on b.id = r.batch_id
join suppression s on s.workspace_id = b.workspace_id and s.number = r.number
where r.batch_id = :batch_id and r.ord >= :first and r.ord <= :last;

-- name: recipients_suppress
update recipient set status = :status, outcome = :outcome, due_at = null, updated_at = :now::bigint
where batch_id = :batch_id and ord = any (array(select k.value::int from jsonb_array_elements_text(:ords::jsonb) k));

-- name: attempts_to
-- Calls to these numbers that may be ringing.
select call_key from attempt
where workspace_id = :workspace_id and holds and state in ('dialing', 'ringing')
    and number = any (array(select k.value from jsonb_array_elements_text(:numbers::jsonb) as k));
