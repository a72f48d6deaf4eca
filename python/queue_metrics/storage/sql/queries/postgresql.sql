-- What PostgreSQL is asked in its own words. Many rows come as one array a column, in the order of their keys: writers that lock and
-- insert in one order never wait for each other in a circle.

-- name: begin_read
-- One state of the database for all that is asked.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;

-- name: begin_write
BEGIN ISOLATION LEVEL READ COMMITTED;

-- name: commit
COMMIT;

-- name: has_tables
SELECT to_regclass('"queue_metrics_keys"') IS NOT NULL;

-- name: get_closed_schema
-- Where our tables are that a role cannot see, since it may not use their schema: the first such of its search path, and the role. Whoever
-- may make tables of its own has a store there, if an empty one. A schema with a comma in its name is not found.
SELECT quote_ident(n.nspname), quote_ident(current_user)
FROM unnest(string_to_array(current_setting('search_path'), ',')) WITH ORDINALITY AS p (entry, place)
JOIN pg_namespace n ON replace(trim(p.entry), '$user', current_user) IN (n.nspname, '"' || n.nspname || '"')
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'queue_metrics_keys'
WHERE NOT has_schema_privilege(n.oid, 'USAGE') AND NOT coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)
ORDER BY p.place LIMIT 1;

-- name: migrate_alone
-- Held to the end of the transaction; the number is that of our name.
SELECT pg_advisory_xact_lock(hashtextextended('queue_metrics_migrate', 0));

-- name: put_schema
INSERT INTO "queue_metrics_keys" (id, type, name, value, expires_at, version, written_at)
VALUES (:id, :type, :name, :value, NULL, 0, {now})
ON CONFLICT (id) DO UPDATE SET value = excluded.value, written_at = excluded.written_at;

-- name: make_mark
INSERT INTO "queue_metrics_marks" (id, shard, spool, sequence, positions, touched_at)
VALUES (:id, :shard, :spool, 0, '', {now})
ON CONFLICT DO NOTHING;

-- name: get_values
SELECT s.step, s.series, s.bucket, s.value
FROM unnest(:steps::integer[], :series::bigint[], :buckets::bigint[]) AS p (step, series, bucket)
JOIN "queue_metrics_series" s ON s.step = p.step AND s.series = p.series AND s.bucket = p.bucket;

-- name: make_labels
INSERT INTO "queue_metrics_series" (step, series, bucket, value, expires_at)
SELECT -1, series, 0, value, NULL FROM unnest(:series::bigint[], :value::bytea[]) AS l (series, value)
ON CONFLICT DO NOTHING;

-- name: put_values
INSERT INTO "queue_metrics_series" (step, series, bucket, value, expires_at)
SELECT * FROM unnest(:step::integer[], :series::bigint[], :bucket::bigint[], :value::bytea[], :expires_at::bigint[])
ON CONFLICT (step, series, bucket) DO UPDATE SET value = excluded.value;

-- name: put_beats
INSERT INTO "queue_metrics_keys" (id, type, name, value, expires_at, version, written_at)
SELECT id, 'w', name, value, {now} + ttl, 0, {now}
FROM unnest(:id::bytea[], :name::text[], :value::bytea[], :ttl::double precision[]) AS b (id, name, value, ttl)
ON CONFLICT (id) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at, written_at = excluded.written_at;

-- name: make_headers
-- Dead until something is written under the name.
INSERT INTO "queue_metrics_keys" (id, type, name, value, expires_at, version, written_at)
SELECT id, type, name, NULL, 0, 0, {now} FROM unnest(:id::bytea[], :type::text[], :name::text[]) AS h (id, type, name)
ON CONFLICT DO NOTHING;

-- name: lock_headers
-- The clock is read when the lock is there.
SELECT id, version, expires_at, value, extract(epoch FROM clock_timestamp())::double precision FROM "queue_metrics_keys"
WHERE id IN :ids ORDER BY id FOR UPDATE;

-- name: put_fields
INSERT INTO "queue_metrics_hashes" (id, field_id, field, value)
SELECT * FROM unnest(:id::bytea[], :member_id::bytea[], :member::text[], :value::text[])
ON CONFLICT (id, field_id) DO UPDATE SET value = excluded.value;

-- name: put_members
INSERT INTO "queue_metrics_sets" (id, member_id, member) SELECT * FROM unnest(:id::bytea[], :member_id::bytea[], :member::text[])
ON CONFLICT (id, member_id) DO NOTHING;

-- name: put_scores
INSERT INTO "queue_metrics_sorted_sets" (id, member_id, member, score)
SELECT * FROM unnest(:id::bytea[], :member_id::bytea[], :member::text[], :score::double precision[])
ON CONFLICT (id, member_id) DO UPDATE SET score = excluded.score;

-- name: remove_points
DELETE FROM "queue_metrics_series" s
USING unnest(:step::integer[], :series::bigint[], :bucket::bigint[]) AS p (step, series, bucket)
WHERE s.step = p.step AND s.series = p.series AND s.bucket = p.bucket;

-- name: size
SELECT coalesce(sum(pg_total_relation_size(to_regclass(format('"queue_metrics_%s"', kind)))), 0)::bigint
FROM unnest(ARRAY['series', 'marks', 'keys', 'hashes', 'sets', 'sorted_sets']) AS kind;

-- name: uptime
SELECT extract(epoch FROM statement_timestamp() - pg_postmaster_start_time())::double precision;

-- name: settings
SELECT current_setting('server_version'), current_setting('synchronous_commit'), current_setting('fsync');
