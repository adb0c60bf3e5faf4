-- Ages are judged by the database's clock, at the moment of the statement.

-- name: node_register
insert into node as n (name, epoch, heartbeat_at, alive)
values (:name, 1, (extract(epoch from clock_timestamp()) * 1000000)::bigint, true)
on conflict (name) do update set epoch = n.epoch + 1, heartbeat_at = excluded.heartbeat_at, alive = true
returning epoch;

-- name: node_retire
update node set alive = false where name = :name and epoch = :epoch;
