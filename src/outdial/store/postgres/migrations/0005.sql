-- An agent's calls a day are counted, and limited where that was set.
alter table agent add column daily_limit bigint;
-- Some text in the settings may hold a NUL, with which PostgreSQL reads nothing of them; another character does as well.
update agent set daily_limit = (s.limits ->> 'daily_limit')::bigint
from (
    select id, replace(platform_settings, '\u0000', '\u0001')::jsonb -> 'call_limits' as limits from agent
) as s
where s.id = agent.id and jsonb_typeof(s.limits -> 'daily_limit') = 'number' and s.limits ->> 'daily_limit' ~ '^[0-9]{1,16}$';

-- Calls that an agent has placed on one day of UTC, counted from 1970-01-01: what is claimed, under way or over.
create table agent_day (
    day int not null,
    agent_id bigint not null,
    calls int not null,
    primary key (day, agent_id)
) with (fillfactor = 50);
insert into agent_day (day, agent_id, calls)
select coalesce(go_at, claimed_at) / 86400000000, agent_id, count(*)
from attempt
where state <> 'void'
    and claimed_at / 86400000000 >= floor(extract(epoch from clock_timestamp()) / 86400) - 2
group by coalesce(go_at, claimed_at) / 86400000000, agent_id;
