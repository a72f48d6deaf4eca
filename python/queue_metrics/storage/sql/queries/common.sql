-- Statements that every dialect understands; a dialect's own file may have another in place of one.
-- `queue_metrics` stands for the prefix, `{now}` for the database's clock in seconds, `{second}` for the same as a whole number.
-- A parameter is `:name`; `IN :name` takes a list.

-- name: get_schema
SELECT value FROM "queue_metrics_keys" WHERE id = :id;

-- name: get_mark
SELECT sequence, positions FROM "queue_metrics_marks" WHERE id = :id AND shard = :shard;

-- name: lock_mark
-- The first thing a batch asks: two drainers of one spool wait for each other here.
SELECT sequence, positions FROM "queue_metrics_marks" WHERE id = :id AND shard = :shard FOR UPDATE;

-- name: lock_labels
-- The labels of a series are its lock: whoever changes its values holds their row, which itself never changes. Many rows are asked in the
-- order of their ids, so nobody waits in a circle.
SELECT series, value FROM "queue_metrics_series" WHERE step = -1 AND series IN :series AND bucket = 0 ORDER BY series FOR UPDATE;

-- name: put_mark
UPDATE "queue_metrics_marks" SET sequence = :sequence, positions = :positions, touched_at = {now}
WHERE id = :id AND shard = :shard;

-- name: all_labels
SELECT series, value FROM "queue_metrics_series" WHERE step = -1;

-- name: count_points
SELECT series, COUNT(*) FROM "queue_metrics_series" WHERE step > 0 GROUP BY series;

-- name: get_points
SELECT series, bucket, value FROM "queue_metrics_series"
WHERE step = :step AND series IN :series AND bucket >= :start AND bucket < :end AND expires_at > {second}
ORDER BY series, bucket;

-- name: get_totals
SELECT series, value FROM "queue_metrics_series" WHERE step = 0 AND series IN :series AND bucket = 0;

-- name: get_beats
SELECT name, value, {now} - written_at FROM "queue_metrics_keys" WHERE type = 'w' AND expires_at > {now};

-- name: uptime
-- For how long the server has been up, where there is one and it tells.
SELECT NULL;

-- name: get_headers
-- The rows of names as they are, dead ones too: for who watches them.
SELECT id, version, expires_at, value, {now} FROM "queue_metrics_keys" WHERE id IN :ids;

-- name: clear_hash
DELETE FROM "queue_metrics_hashes" WHERE id = :id;

-- name: clear_set
DELETE FROM "queue_metrics_sets" WHERE id = :id;

-- name: clear_sorted_set
DELETE FROM "queue_metrics_sorted_sets" WHERE id = :id;

-- name: expired_headers
-- Those that a writer holds are left for the next time.
SELECT id FROM "queue_metrics_keys" WHERE expires_at <= {now} LIMIT :limit FOR UPDATE SKIP LOCKED;

-- name: remove_headers
DELETE FROM "queue_metrics_keys" WHERE id IN :ids;

-- name: clear_hashes
DELETE FROM "queue_metrics_hashes" WHERE id IN :ids;

-- name: clear_sets
DELETE FROM "queue_metrics_sets" WHERE id IN :ids;

-- name: clear_sorted_sets
DELETE FROM "queue_metrics_sorted_sets" WHERE id IN :ids;

-- name: expired_points
SELECT step, series, bucket FROM "queue_metrics_series" WHERE expires_at <= {second}
ORDER BY expires_at LIMIT :limit FOR UPDATE SKIP LOCKED;

-- The general operations: what is read. A row hangs on the header of its name, and is there while the header is.

-- name: living
SELECT type, expires_at, {now} FROM "queue_metrics_keys" WHERE id IN :ids AND (expires_at IS NULL OR expires_at > {now});

-- name: scan
SELECT name FROM "queue_metrics_keys" WHERE type IN ('k', 'h', 's', 'z') AND (expires_at IS NULL OR expires_at > {now});

-- name: get_key
SELECT value FROM "queue_metrics_keys" WHERE id = :id AND (expires_at IS NULL OR expires_at > {now});

-- name: get_fields
SELECT f.field, f.value FROM "queue_metrics_keys" k JOIN "queue_metrics_hashes" f ON f.id = k.id
WHERE k.id = :id AND (k.expires_at IS NULL OR k.expires_at > {now});

-- name: get_field
SELECT f.value FROM "queue_metrics_keys" k JOIN "queue_metrics_hashes" f ON f.id = k.id
WHERE k.id = :id AND f.field_id = :field_id AND (k.expires_at IS NULL OR k.expires_at > {now});

-- name: get_members
SELECT m.member FROM "queue_metrics_keys" k JOIN "queue_metrics_sets" m ON m.id = k.id
WHERE k.id = :id AND (k.expires_at IS NULL OR k.expires_at > {now});

-- name: has_member
SELECT 1 FROM "queue_metrics_keys" k JOIN "queue_metrics_sets" m ON m.id = k.id
WHERE k.id = :id AND m.member_id = :member_id AND (k.expires_at IS NULL OR k.expires_at > {now});

-- name: count_members
SELECT count(*) FROM "queue_metrics_keys" k JOIN "queue_metrics_sets" m ON m.id = k.id
WHERE k.id = :id AND (k.expires_at IS NULL OR k.expires_at > {now});

-- name: get_ranked
-- From one rank to another, both included; negative ones count from the end. Ranks from 0, by score, then by member.
SELECT member, score, member_id FROM (
    SELECT z.member AS member, z.score AS score, z.member_id AS member_id,
           row_number() OVER (ORDER BY z.score, z.member) - 1 AS place, count(*) OVER () AS members
    FROM "queue_metrics_keys" k JOIN "queue_metrics_sorted_sets" z ON z.id = k.id
    WHERE k.id = :id AND (k.expires_at IS NULL OR k.expires_at > {now})
) ranked
WHERE place >= CASE WHEN :start < 0 THEN :start + members ELSE :start END
  AND place <= CASE WHEN :stop < 0 THEN :stop + members ELSE :stop END
ORDER BY place;

-- name: get_ranked_descending
SELECT member, score, member_id FROM (
    SELECT z.member AS member, z.score AS score, z.member_id AS member_id,
           row_number() OVER (ORDER BY z.score DESC, z.member DESC) - 1 AS place, count(*) OVER () AS members
    FROM "queue_metrics_keys" k JOIN "queue_metrics_sorted_sets" z ON z.id = k.id
    WHERE k.id = :id AND (k.expires_at IS NULL OR k.expires_at > {now})
) ranked
WHERE place >= CASE WHEN :start < 0 THEN :start + members ELSE :start END
  AND place <= CASE WHEN :stop < 0 THEN :stop + members ELSE :stop END
ORDER BY place;

-- name: get_scored
SELECT z.member, z.score FROM "queue_metrics_keys" k JOIN "queue_metrics_sorted_sets" z ON z.id = k.id
WHERE k.id = :id AND (k.expires_at IS NULL OR k.expires_at > {now}) AND z.score >= :low AND z.score <= :high
ORDER BY z.score, z.member LIMIT :limit OFFSET :offset;

-- name: get_scored_descending
SELECT z.member, z.score FROM "queue_metrics_keys" k JOIN "queue_metrics_sorted_sets" z ON z.id = k.id
WHERE k.id = :id AND (k.expires_at IS NULL OR k.expires_at > {now}) AND z.score >= :low AND z.score <= :high
ORDER BY z.score DESC, z.member DESC LIMIT :limit OFFSET :offset;

-- name: count_scored
SELECT count(*) FROM "queue_metrics_keys" k JOIN "queue_metrics_sorted_sets" z ON z.id = k.id
WHERE k.id = :id AND (k.expires_at IS NULL OR k.expires_at > {now}) AND z.score >= :low AND z.score <= :high;

-- The general operations: what is written, with the header locked.

-- name: put_header
-- Of a row that is there.
UPDATE "queue_metrics_keys" SET value = :value, expires_at = :expires_at, version = :version, written_at = {now} WHERE id = :id;

-- name: known_fields
SELECT field_id FROM "queue_metrics_hashes" WHERE id = :id AND field_id IN :members;

-- name: known_members
SELECT member_id FROM "queue_metrics_sets" WHERE id = :id AND member_id IN :members;

-- name: known_scores
SELECT member_id, score FROM "queue_metrics_sorted_sets" WHERE id = :id AND member_id IN :members;

-- name: remove_fields
DELETE FROM "queue_metrics_hashes" WHERE id = :id AND field_id IN :members;

-- name: remove_members
DELETE FROM "queue_metrics_sets" WHERE id = :id AND member_id IN :members;

-- name: remove_scores
DELETE FROM "queue_metrics_sorted_sets" WHERE id = :id AND member_id IN :members;

-- name: remove_scored
DELETE FROM "queue_metrics_sorted_sets" WHERE id = :id AND score >= :low AND score <= :high;

-- name: any_field
SELECT 1 FROM "queue_metrics_hashes" WHERE id = :id LIMIT 1;

-- name: any_member
SELECT 1 FROM "queue_metrics_sets" WHERE id = :id LIMIT 1;

-- name: any_score
SELECT 1 FROM "queue_metrics_sorted_sets" WHERE id = :id LIMIT 1;
