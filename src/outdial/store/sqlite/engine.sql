-- name: schema_version
select coalesce(max(version), 0) from schema_version;

-- name: schema_version_note
insert into schema_version (version, applied_at) values (:version, :applied_at);

-- name: nodes_alone
-- One process serves on a file.
update node set alive = 0 where name <> :name;

-- name: file_check
-- The structure of the file; `ok` or what is wrong. It reads everything once.
pragma quick_check(10);

-- name: file_journal
pragma journal_mode;
