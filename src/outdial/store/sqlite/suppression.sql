-- name: suppress
insert into suppression (workspace_id, number, reason, created_at)
select :workspace_id, value, :reason, :created_at from json_each(:numbers) where true
on conflict (workspace_id, number) do nothing;

-- name: unsuppress
delete from suppression where workspace_id = :workspace_id and number in (select value from json_each(:numbers));

-- name: suppressed
select number from suppression
where workspace_id = :workspace_id and number in (select value from json_each(:numbers));
