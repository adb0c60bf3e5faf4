-- For health and metrics.

-- name: calls_under_way
-- The partial index on owners holds open attempts only: as many rows as there are calls.
select provider, state, count(*) as n from attempt
where node = :node and epoch = :epoch and state in ('intent', 'dialing', 'ringing', 'live') and state <> 'intent'
group by provider, state;
