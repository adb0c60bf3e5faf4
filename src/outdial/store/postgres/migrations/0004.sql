-- Calling hours of a workspace, which count for its batches without their own, and where a do-not-call entry came from.
alter table suppression add column source text not null default '';

alter table workspace add column calling_hours text;
-- Counts the changes: a call that was claimed under older hours gets no GO.
alter table workspace add column hours_version bigint not null default 0;

-- A batch with everything that its readers need beside it.
drop view batch_view;
create view batch_view as
select
    b.*,
    a.public_id as agent_public_id,
    a.name as agent_name,
    a.updated_at as agent_updated_at,
    n.public_id as number_public_id,
    n.provider as provider,
    n.trunk as trunk,
    n.updated_at as number_updated_at,
    c.generation as generation,
    c.cancelled as cancelled,
    c.paused as paused,
    coalesce(t.halted_reason, '') as halted_reason,
    w.calling_hours as workspace_hours,
    w.hours_version as hours_version,
    coalesce(y.n, 0) as suppressed
from batch b
join agent a on a.id = b.agent_id
join batch_control c on c.batch_id = b.id
join workspace w on w.id = b.workspace_id
left join phone_number n on n.id = b.number_id
left join bucket t on t.key = n.trunk
left join tally y on y.batch_id = b.id and y.outcome = 'suppressed';
