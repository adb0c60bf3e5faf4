-- name: suppress
insert into suppression (workspace_id, number, reason, created_at)
select :workspace_id, k.value, :reason, :created_at from jsonb_array_elements_text(:numbers::jsonb) as k
on conflict (workspace_id, number) do nothing;

-- name: unsuppress
delete from suppression
where workspace_id = :workspace_id and number in (select k.value from jsonb_array_elements_text(:numbers::jsonb) as k);

-- name: suppressed
select number from suppression
where workspace_id = :workspace_id and number in (select k.value from jsonb_array_elements_text(:numbers::jsonb) as k);
