-- name: suppress
-- Who is on the list already keeps the first reason.
insert into suppression (workspace_id, number, reason, source, created_at)
select :workspace_id, value ->> 'number', value ->> 'reason', :source, :created_at from json_each(:rows) where true
on conflict (workspace_id, number) do nothing;

-- name: unsuppress
delete from suppression where workspace_id = :workspace_id and number in (select value from json_each(:numbers));

-- name: suppressed
select number, reason, source, created_at from suppression
where workspace_id = :workspace_id and number in (select value from json_each(:numbers));

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
update recipient set status = :status, outcome = :outcome, due_at = null, updated_at = :now
where batch_id = :batch_id and ord in (select k.value from json_each(:ords) k);

-- name: attempts_to
-- Calls to these numbers that may be ringing.
select call_key from attempt
where workspace_id = :workspace_id and holds and state in ('dialing', 'ringing')
    and number in (select value from json_each(:numbers));
