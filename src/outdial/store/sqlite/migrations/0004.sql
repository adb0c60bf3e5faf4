-- An agent's calls a day are counted, and limited where that was set.
alter table agent add column daily_limit integer;
update agent set daily_limit = json_extract(platform_settings, '$.call_limits.daily_limit')
where json_type(platform_settings, '$.call_limits.daily_limit') = 'integer'
    and json_extract(platform_settings, '$.call_limits.daily_limit') >= 0;

-- Calls that an agent has placed on one day of UTC, counted from 1970-01-01: what is claimed, under way or over.
create table agent_day (
    day integer not null,
    agent_id integer not null,
    calls integer not null,
    primary key (day, agent_id)
) without rowid;
insert into agent_day (day, agent_id, calls)
select coalesce(go_at, claimed_at) / 86400000000, agent_id, count(*)
from attempt
where state <> 'void' and claimed_at / 86400000000 >= unixepoch() / 86400 - 2
group by coalesce(go_at, claimed_at) / 86400000000, agent_id;
