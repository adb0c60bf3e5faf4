-- name: workspace_create
insert into workspace (public_id, name, created_at) values (:public_id, :name, :created_at)
on conflict (name) do nothing;

-- name: workspace_by_name
select id, public_id from workspace where name = :name;

-- name: key_create
insert into api_key (workspace_id, key_hash, name, created_at) values (:workspace_id, :key_hash, :name, :created_at)
returning id;

-- name: key_bootstrap
-- A key that was made as any other may administer from now on.
insert into api_key (workspace_id, key_hash, name, may_administer, created_at)
values (:workspace_id, :key_hash, :name, true, :created_at)
on conflict (key_hash) do update set may_administer = true;

-- name: keys_of_settings_drop
delete from api_key where may_administer and name = :name and key_hash <> :key_hash;

-- name: key_owner
select k.id as key_id, k.workspace_id, k.may_administer, w.public_id as workspace_public_id
from api_key k
join workspace w on w.id = k.workspace_id
where k.key_hash = :key_hash;

-- name: bucket_limit
-- A new limit leaves what is used of it as it is.
insert into bucket (key, cap, rate) values (:key, :cap::int, :rate::float8)
on conflict (key) do update set cap = excluded.cap, rate = excluded.rate;

-- name: workspaces_limited_otherwise
select key from bucket where key like 'w:%' and cap is distinct from :cap::int;

-- name: workspaces_limit
update bucket set cap = :cap::int where key like 'w:%' and cap is distinct from :cap::int;

-- name: workspace_settings
select settings from workspace where id = :id;

-- name: workspace_settings_lock
-- Two changes at once: the second sees the first.
select settings from workspace where id = :id for update;

-- name: workspace_settings_keep
update workspace set settings = :settings where id = :id;
