-- A trunk that has not proven itself is tried by a few calls first. Those that were there before count as proven.
alter table bucket add column unproven boolean not null default false;
alter table attempt add column trying boolean not null default false;
-- Holds the calls that try something just now: a handful at most.
create index attempt_trying on attempt (trunk) where trying and holds;
