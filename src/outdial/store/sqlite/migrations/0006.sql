-- A trunk that has not proven itself is tried by a few calls first. Those that were there before count as proven.
alter table bucket add column unproven integer not null default 0;
alter table attempt add column trying integer not null default 0;
-- Holds the calls that try something just now: a handful at most.
create index attempt_trying on attempt (trunk) where trying and holds;
