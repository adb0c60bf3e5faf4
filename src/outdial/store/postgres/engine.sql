-- name: schema_version
select coalesce(max(version), 0) from schema_version;

-- name: schema_version_note
insert into schema_version (version, applied_at) values (:version, :applied_at);

-- name: lock_buckets
-- in byte order of their keys, on every node
select 1 from bucket where key in (select jsonb_array_elements_text(:keys::jsonb)) order by key collate "C" for update;

-- name: lock_controls
select 1 from batch_control where batch_id in (select e::bigint from jsonb_array_elements_text(:ids::jsonb) as e)
order by batch_id for update;

-- name: lock_batches
select 1 from batch where id in (select e::bigint from jsonb_array_elements_text(:ids::jsonb) as e)
order by id for update;

-- name: notify
select pg_notify(:channel, :topic);

-- name: committer_enter
insert into committer (id, token, seen_at) values (:id, 0, :now)
on conflict (id) do update set seen_at = excluded.seen_at;

-- name: committer_forget
delete from committer where id = :id or seen_at < :before;

-- name: committer_note
-- the row may have been forgotten while nothing was written for days
insert into committer (id, token, seen_at) values (:id, :token, :now)
on conflict (id) do update set token = excluded.token, seen_at = excluded.seen_at;

-- name: committer_token
-- waits for the transaction that holds the row, so the answer is final
select token from committer where id = :id for update;

-- name: node_heartbeat
update node set heartbeat_at = (extract(epoch from clock_timestamp()) * 1000000)::bigint
where name = :name and epoch = :epoch and alive
returning 1;

-- name: server_settings
select name, setting from pg_settings
where name in ('fsync', 'full_page_writes', 'synchronous_commit', 'synchronous_standby_names', 'max_connections',
    'server_version', 'server_version_num');

-- name: server_state
select pg_is_in_recovery() as standby, extract(epoch from clock_timestamp()) as now,
    pg_database_size(current_database()) as bytes, (select count(*) from pg_stat_activity) as connections;

-- name: server_standbys
-- What is not ours to see is null.
select count(*) as n, count(*) filter (where sync_state in ('sync', 'quorum')) as waited_for,
    count(*) filter (where sync_state is null) as unseen
from pg_stat_replication;
