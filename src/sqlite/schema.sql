-- Everything that this program keeps in its file. For a look with the sqlite3 shell: SELECT * FROM api_health_overview;

-- One state for each API. `record` is JSON and is the truth; `status` is a copy of its field, for people.
-- Every write is conditional on `version`.
CREATE TABLE api_health_states (
    api_id  TEXT PRIMARY KEY NOT NULL,
    version INTEGER NOT NULL,
    status  TEXT NOT NULL,
    record  TEXT NOT NULL
) STRICT;

-- One config for each API, as a JSON object of the fields of an API. `api_id` is the key, and wins over the field.
CREATE TABLE api_health_configs (
    api_id TEXT PRIMARY KEY NOT NULL,
    row    TEXT NOT NULL CONSTRAINT row_is_a_json_object CHECK (json_valid(row) AND json_type(row) = 'object')
) STRICT;

CREATE TABLE api_health_meta (
    name  TEXT PRIMARY KEY NOT NULL,
    value INTEGER NOT NULL
) STRICT;

-- Grows with each change of a config, by whatever program, so that the running one notices.
INSERT INTO api_health_meta VALUES ('configs_revision', 0);
CREATE TRIGGER api_health_configs_inserted AFTER INSERT ON api_health_configs BEGIN
    UPDATE api_health_meta SET value = value + 1 WHERE name = 'configs_revision';
END;
CREATE TRIGGER api_health_configs_updated AFTER UPDATE ON api_health_configs BEGIN
    UPDATE api_health_meta SET value = value + 1 WHERE name = 'configs_revision';
END;
CREATE TRIGGER api_health_configs_deleted AFTER DELETE ON api_health_configs BEGIN
    UPDATE api_health_meta SET value = value + 1 WHERE name = 'configs_revision';
END;

CREATE VIEW api_health_overview AS
SELECT api_id,
       status,
       readable ->> '$.since'            AS since,
       readable ->> '$.last_checked_at'  AS last_checked_at,
       readable ->> '$.last_latency_ms'  AS last_latency_ms,
       readable ->> '$.last_status_code' AS last_status_code,
       readable ->> '$.last_error'       AS last_error,
       coalesce(json_array_length(readable, '$.owed'), 0) AS alerts_owed
FROM (SELECT api_id, status, CASE WHEN json_valid(record) THEN record END AS readable FROM api_health_states)
ORDER BY api_id;
