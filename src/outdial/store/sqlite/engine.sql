-- name: schema_version
select coalesce(max(version), 0) from schema_version;

-- name: schema_version_note
insert into schema_version (version, applied_at) values (:version, :applied_at);
