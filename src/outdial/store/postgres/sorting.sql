-- People whose zones nobody asked for get their window class.

-- name: hopper_unsorted
-- Who waits in the class of no zones, the first to be called in front.
select f.ord, r.number
from (
    select d.batch_id, d.ord, d.due_at from due d
    join batch_control c on c.batch_id = d.batch_id and c.generation = d.generation
    where d.batch_id = :batch_id and d.window_class = 0
    order by d.due_at, d.ord
    limit :limit
) f
join recipient r on r.batch_id = f.batch_id and r.ord = f.ord
order by f.due_at, f.ord;

-- name: recipients_sort
update recipient as p set window_class = r.window_class
from jsonb_to_recordset(:rows::jsonb) as r (batch_id bigint, ord int, window_class bigint)
where p.batch_id = r.batch_id and p.ord = r.ord and p.window_class = 0;

-- name: recipients_unsorted
-- Where these people are in the hopper, if they wait: their rows know it.
select r.ord, r.generation, r.due_at, c.generation as current
from recipient r
join batch_control c on c.batch_id = r.batch_id
where r.batch_id = :batch_id and r.window_class = 0 and r.ord = any (array(select k.value::int from jsonb_array_elements_text(:ords::jsonb) k));
