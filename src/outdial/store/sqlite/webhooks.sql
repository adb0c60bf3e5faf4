-- Whom to tell: addresses, their signing keys, and what they want to hear.

-- name: webhook_create
insert into webhook (workspace_id, public_id, name, url, sealed, events, created_at)
values (:workspace_id, :public_id, :name, :url, :sealed, :events, :created_at)
returning *;

-- name: webhooks
select * from webhook where workspace_id = :workspace_id order by id;

-- name: webhook_by_public_id
select * from webhook where workspace_id = :workspace_id and public_id = :public_id;

-- name: webhook_lock
select * from webhook where workspace_id = :workspace_id and public_id = :public_id;

-- name: webhook_update
update webhook
set name = :name, sealed = :sealed, events = :events, retry_enabled = :retry_enabled, is_disabled = :is_disabled,
    is_auto_disabled = :is_auto_disabled
where id = :id
returning *;

-- name: webhook_delete
delete from webhook where id = :id;
