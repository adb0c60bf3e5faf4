-- Whether halted trunks are there.

-- name: probes_due
-- Numbers whose trunk is halted and was not asked lately, the longest ago first.
select n.*, t.halted_reason, null as agent_public_id, null as agent_name
from phone_number n
join bucket t on t.key = n.trunk
left join trunk_probe p on p.trunk = n.trunk
where n.deleted_at is null and t.halted_reason <> '' and n.provider in (select k.value from jsonb_array_elements_text(:providers::jsonb) k)
    and coalesce(p.asked_at, 0) <= :before::bigint
order by coalesce(p.asked_at, 0), n.id
limit :limit;

-- name: probe_begin
-- One node asks: whoever comes second changes no row.
insert into trunk_probe (trunk, asked_at) values (:trunk, :now)
on conflict (trunk) do update set asked_at = excluded.asked_at where trunk_probe.asked_at <= :before::bigint;

-- name: probe_end
update trunk_probe set said_at = :now, says = :says where trunk = :trunk;

-- name: probe_of
-- What was said since it was halted.
select p.says, p.said_at from trunk_probe p join bucket t on t.key = p.trunk
where p.trunk = :trunk and t.halted_at <= p.said_at;
