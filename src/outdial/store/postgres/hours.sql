-- Calling hours of workspaces.

-- name: workspace_hours
select calling_hours from workspace where id = :id;

-- name: workspace_hours_set
-- Only a change is one: whoever sets the same again holds nobody up.
update workspace set calling_hours = :hours, hours_version = hours_version + 1
where id = :id and calling_hours is distinct from :hours;
