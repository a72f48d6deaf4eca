-- What SQLite is asked in its own words. Writers take turns, so no row is locked.

-- name: has_tables
-- Columns by which the first schema (1) is told from the later ones (2); 0: nothing was ever written under the prefix.
SELECT count(*) FROM pragma_table_info('queue_metrics_keys') WHERE name IN ('name', 'id');

-- name: get_first_schema
SELECT value FROM "queue_metrics_keys" WHERE name = 'schema';

-- name: put_schema
INSERT INTO "queue_metrics_keys" (id, type, name, value, expires_at, version, written_at)
VALUES (:id, :type, :name, :value, NULL, 0, {now})
ON CONFLICT (id) DO UPDATE SET value = excluded.value, written_at = excluded.written_at;

-- name: lock_mark
SELECT sequence, positions FROM "queue_metrics_marks" WHERE spool = :spool AND shard = :shard;

-- name: lock_labels
SELECT series, value FROM "queue_metrics_series" WHERE series IN :series AND step = -1 AND bucket = 0;

-- name: make_labels
INSERT INTO "queue_metrics_series" (series, step, bucket, value, expires_at) VALUES (:series, -1, 0, :value, NULL);

-- name: get_mark
SELECT sequence, positions FROM "queue_metrics_marks" WHERE spool = :spool AND shard = :shard;

-- name: put_mark
UPDATE "queue_metrics_marks" SET sequence = :sequence, positions = :positions, touched_at = {now}
WHERE spool = :spool AND shard = :shard;

-- name: make_mark
INSERT INTO "queue_metrics_marks" (spool, shard, sequence, positions, touched_at) VALUES (:spool, :shard, 0, x'', {now});

-- name: get_value
SELECT step, series, bucket, value FROM "queue_metrics_series" WHERE series = :series AND step = :step AND bucket = :bucket;

-- name: put_values
INSERT INTO "queue_metrics_series" (series, step, bucket, value, expires_at)
VALUES (:series, :step, :bucket, :value, :expires_at)
ON CONFLICT (series, step, bucket) DO UPDATE SET value = excluded.value;

-- name: put_beats
INSERT INTO "queue_metrics_keys" (id, type, name, value, expires_at, version, written_at)
VALUES (:id, 'w', :name, :value, {now} + :ttl, 0, {now})
ON CONFLICT (id) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at, written_at = excluded.written_at;

-- name: make_headers
-- Dead until something is written under the name.
INSERT INTO "queue_metrics_keys" (id, type, name, value, expires_at, version, written_at)
VALUES (:id, :type, :name, NULL, 0, 0, {now})
ON CONFLICT (id) DO NOTHING;

-- name: lock_headers
SELECT id, version, expires_at, value, {now} FROM "queue_metrics_keys" WHERE id IN :ids;

-- name: put_fields
INSERT INTO "queue_metrics_hashes" (id, field_id, field, value) VALUES (:id, :member_id, :member, :value)
ON CONFLICT (id, field_id) DO UPDATE SET value = excluded.value;

-- name: put_members
INSERT INTO "queue_metrics_sets" (id, member_id, member) VALUES (:id, :member_id, :member)
ON CONFLICT (id, member_id) DO NOTHING;

-- name: put_scores
INSERT INTO "queue_metrics_sorted_sets" (id, member_id, member, score) VALUES (:id, :member_id, :member, :score)
ON CONFLICT (id, member_id) DO UPDATE SET score = excluded.score;

-- name: expired_headers
SELECT id FROM "queue_metrics_keys" WHERE expires_at <= {now} LIMIT :limit;

-- name: expired_points
SELECT step, series, bucket FROM "queue_metrics_series" WHERE expires_at <= {second} ORDER BY expires_at LIMIT :limit;

-- name: remove_points
DELETE FROM "queue_metrics_series" WHERE series = :series AND step = :step AND bucket = :bucket;

-- name: size
-- Pages that hold something; those of deleted rows are reused before the file grows.
SELECT ((SELECT page_count FROM pragma_page_count()) - (SELECT freelist_count FROM pragma_freelist_count()))
       * (SELECT page_size FROM pragma_page_size());
