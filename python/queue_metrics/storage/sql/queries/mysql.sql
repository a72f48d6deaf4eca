-- What MySQL and MariaDB are asked in their own words. Rows are locked and inserted in the order of their keys, and a row that is there
-- is locked at once by a change that changes nothing: INSERT IGNORE would take a weaker lock first, and two of those stand in each
-- other's way.

-- name: begin_read
START TRANSACTION READ ONLY;

-- name: begin_write
START TRANSACTION;

-- name: has_tables
SELECT count(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'queue_metrics_keys';

-- name: migrate_alone
-- The lock of a server, so the database is part of its name.
SELECT GET_LOCK(left(concat('queue_metrics_migrate@', DATABASE()), 64), :patience);

-- name: migrate_done
SELECT RELEASE_LOCK(left(concat('queue_metrics_migrate@', DATABASE()), 64));

-- name: put_schema
INSERT INTO "queue_metrics_keys" (id, type, name, value, expires_at, version, written_at)
VALUES (:id, :type, :name, :value, NULL, 0, {now})
ON DUPLICATE KEY UPDATE value = VALUES(value), written_at = VALUES(written_at);

-- name: make_mark
INSERT INTO "queue_metrics_marks" (id, shard, spool, sequence, positions, touched_at)
VALUES (:id, :shard, :spool, 0, '', {now})
ON DUPLICATE KEY UPDATE shard = shard;

-- name: get_values
-- Looked up one by one: a list of rows after IN would be compared with all there are.
SELECT s.step, s.series, s.bucket, s.value
FROM JSON_TABLE(:places, '$[*]' COLUMNS (
    step int PATH '$[0]', series bigint PATH '$[1]', bucket bigint PATH '$[2]'
)) p STRAIGHT_JOIN "queue_metrics_series" s ON s.step = p.step AND s.series = p.series AND s.bucket = p.bucket;

-- name: make_labels
INSERT INTO "queue_metrics_series" (step, series, bucket, value, expires_at)
VALUES (-1, :series, 0, :value, NULL)
ON DUPLICATE KEY UPDATE step = step;

-- name: put_values
INSERT INTO "queue_metrics_series" (step, series, bucket, value, expires_at)
VALUES (:step, :series, :bucket, :value, :expires_at)
ON DUPLICATE KEY UPDATE value = VALUES(value);

-- name: put_beats
INSERT INTO "queue_metrics_keys" (id, type, name, value, expires_at, version, written_at)
VALUES (:id, 'w', :name, :value, {now} + :ttl, 0, {now})
ON DUPLICATE KEY UPDATE value = VALUES(value), expires_at = VALUES(expires_at), written_at = VALUES(written_at);

-- name: make_headers
-- Dead until something is written under the name.
INSERT INTO "queue_metrics_keys" (id, type, name, value, expires_at, version, written_at)
VALUES (:id, :type, :name, NULL, 0, 0, {now})
ON DUPLICATE KEY UPDATE type = type;

-- name: lock_headers
-- The clock is read when the lock is there.
SELECT id, version, expires_at, value, UNIX_TIMESTAMP(SYSDATE(6)) FROM "queue_metrics_keys" WHERE id IN :ids ORDER BY id FOR UPDATE;

-- name: put_fields
INSERT INTO "queue_metrics_hashes" (id, field_id, field, value) VALUES (:id, :member_id, :member, :value)
ON DUPLICATE KEY UPDATE value = VALUES(value);

-- name: put_members
INSERT INTO "queue_metrics_sets" (id, member_id, member) VALUES (:id, :member_id, :member)
ON DUPLICATE KEY UPDATE member_id = VALUES(member_id);

-- name: put_scores
INSERT INTO "queue_metrics_sorted_sets" (id, member_id, member, score) VALUES (:id, :member_id, :member, :score)
ON DUPLICATE KEY UPDATE score = VALUES(score);

-- name: remove_points
DELETE FROM "queue_metrics_series" WHERE step = :step AND series = :series AND bucket = :bucket;

-- name: size
-- As the tables' statistics say, which follow after some seconds.
SELECT coalesce(sum(data_length + index_length), 0) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name IN (
    'queue_metrics_series', 'queue_metrics_marks', 'queue_metrics_keys',
    'queue_metrics_hashes', 'queue_metrics_sets', 'queue_metrics_sorted_sets'
);

-- name: uptime
-- To the end of its second. Each of the two servers reads its own comment.
SELECT (
    SELECT variable_value + 1.0 FROM /*M! information_schema.global_status */ /*!80000 performance_schema.global_status */
    WHERE variable_name = 'Uptime'
);

-- name: settings
SELECT version(), @@innodb_flush_log_at_trx_commit;

-- name: columns
-- Of our tables, as they are there.
SELECT lower(table_name), lower(column_name) FROM information_schema.columns
WHERE table_schema = DATABASE() AND lower(table_name) IN (
    'queue_metrics_series', 'queue_metrics_marks', 'queue_metrics_keys', 'queue_metrics_hashes', 'queue_metrics_sets',
    'queue_metrics_sorted_sets'
);
