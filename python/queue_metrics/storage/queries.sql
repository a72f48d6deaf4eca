-- Every statement that the SQL driver runs, but the schema. `queue_metrics` stands for the prefix.
-- Lists of ids come as one JSON parameter, so their number has no limit and a statement one text.

-- name: has_tables
-- Whether anything was ever written under the prefix.
SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'queue_metrics_keys';

-- name: get_schema
SELECT value FROM "queue_metrics_keys" WHERE name = 'schema';

-- name: put_schema
INSERT INTO "queue_metrics_keys" (name, value, expires_at, written_at) VALUES ('schema', :version, NULL, :now);

-- name: get_mark
SELECT sequence, positions FROM "queue_metrics_marks" WHERE spool = :spool AND shard = :shard;

-- name: put_mark
INSERT INTO "queue_metrics_marks" (spool, shard, sequence, positions, touched_at)
VALUES (:spool, :shard, :sequence, :positions, :now)
ON CONFLICT (spool, shard) DO UPDATE SET sequence = excluded.sequence, positions = excluded.positions, touched_at = excluded.touched_at;

-- name: get_labels
SELECT series, labels FROM "queue_metrics_labels" WHERE series IN (SELECT value FROM json_each(:series));

-- name: all_labels
SELECT series, labels FROM "queue_metrics_labels";

-- name: add_labels
INSERT INTO "queue_metrics_labels" (series, labels) VALUES (:series, :labels);

-- name: get_value
SELECT value FROM "queue_metrics_series" WHERE series = :series AND step = :step AND bucket = :bucket;

-- name: put_value
INSERT INTO "queue_metrics_series" (series, step, bucket, value, expires_at)
VALUES (:series, :step, :bucket, :value, :expires_at)
ON CONFLICT (series, step, bucket) DO UPDATE SET value = excluded.value;

-- name: get_points
-- One search in the primary key for each series.
SELECT series, bucket, value FROM "queue_metrics_series"
WHERE series IN (SELECT value FROM json_each(:series))
  AND step = :step AND bucket >= :start AND bucket < :end AND expires_at > :now
ORDER BY series, bucket;

-- name: get_totals
SELECT series, value FROM "queue_metrics_series"
WHERE series IN (SELECT value FROM json_each(:series)) AND step = 0 AND bucket = 0;

-- name: put_beat
INSERT INTO "queue_metrics_keys" (name, value, expires_at, written_at) VALUES ('worker:' || :worker, :payload, :expires_at, :now)
ON CONFLICT (name) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at, written_at = excluded.written_at;

-- name: get_beats
-- ';' is the character behind ':'.
SELECT substr(name, 8), value, written_at FROM "queue_metrics_keys"
WHERE name >= 'worker:' AND name < 'worker;' AND expires_at > :now
ORDER BY name;

-- name: take_lease
-- Changes a row only for the holder, or when nobody holds it any more.
INSERT INTO "queue_metrics_keys" (name, value, expires_at, written_at) VALUES ('lease:' || :name, :owner, :expires_at, :now)
ON CONFLICT (name) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at, written_at = excluded.written_at
WHERE value = excluded.value OR expires_at <= excluded.written_at;

-- name: sweep_series
DELETE FROM "queue_metrics_series" WHERE (series, step, bucket) IN (
    SELECT series, step, bucket FROM "queue_metrics_series" WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit
);

-- name: sweep_keys
DELETE FROM "queue_metrics_keys" WHERE name IN (SELECT name FROM "queue_metrics_keys" WHERE expires_at <= :now LIMIT :limit);

-- name: used_pages
-- Pages that hold something; those of deleted rows are reused before the file grows.
SELECT (SELECT page_count FROM pragma_page_count()) - (SELECT freelist_count FROM pragma_freelist_count());

-- name: page_size
SELECT page_size FROM pragma_page_size();
