-- name: node_register
-- The instant is kept for people: here nobody judges by the age of a lease.
insert into node (name, epoch, heartbeat_at, alive)
values (:name, 1, cast((julianday('now') - 2440587.5) * 86400000000.0 as integer), 1)
on conflict (name) do update set epoch = node.epoch + 1, heartbeat_at = excluded.heartbeat_at, alive = 1
returning epoch;

-- name: node_retire
update node set alive = 0 where name = :name and epoch = :epoch;
