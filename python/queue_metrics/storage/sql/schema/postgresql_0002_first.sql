-- Schema version 2, the first that PostgreSQL has. `queue_metrics` stands for the prefix.
-- Times are seconds since 1970 by the store's clock; a series id is the u64 as a signed 64-bit number.
-- An id is BLAKE2b-128 of a type letter, ":" and the name, a spool's, member's or field's that of its text: text may be longer than any index takes.

-- name: create_series
-- What happened to a series in a step of time; step 0, bucket 0 is its total, step -1, bucket 0 its labels, which never expire.
-- Room is left in pages, so that a changed value stays in its own; no index holds what changes.
CREATE TABLE "queue_metrics_series" (
    step integer NOT NULL,
    series bigint NOT NULL,
    bucket bigint NOT NULL,
    value bytea NOT NULL,
    expires_at bigint,
    PRIMARY KEY (step, series, bucket)
) WITH (fillfactor = 70);

-- name: create_series_expiry
-- For the sweep.
CREATE INDEX "queue_metrics_series_expiry" ON "queue_metrics_series" (expires_at) WHERE expires_at IS NOT NULL;

-- name: create_marks
-- How far the numbers go, by spool and shard; moved in the transaction that changes them.
CREATE TABLE "queue_metrics_marks" (
    id bytea NOT NULL,
    shard integer NOT NULL,
    spool text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    positions bytea NOT NULL,
    touched_at double precision NOT NULL,
    PRIMARY KEY (id, shard)
) WITH (fillfactor = 50);

-- name: create_keys
-- A header for everything that has a name. Its type: k key, h hash, s set, z sorted set, w heartbeat of a worker, l lease, v schema
-- version, m migration. The value is that of a key, heartbeat or lease, or a version. Dead from expires_at on: then it counts as not
-- there, with all that hangs on it. The version changes at random with every change, for who watches the name.
CREATE TABLE "queue_metrics_keys" (
    id bytea PRIMARY KEY,
    type text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    value bytea,
    expires_at double precision,
    version bigint NOT NULL,
    written_at double precision NOT NULL
) WITH (fillfactor = 50);

-- name: create_keys_type
-- For whoever reads all heartbeats.
CREATE INDEX "queue_metrics_keys_type" ON "queue_metrics_keys" (type);

-- name: create_hashes
CREATE TABLE "queue_metrics_hashes" (
    id bytea NOT NULL,
    field_id bytea NOT NULL,
    field text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    PRIMARY KEY (id, field_id)
);

-- name: create_sets
CREATE TABLE "queue_metrics_sets" (
    id bytea NOT NULL,
    member_id bytea NOT NULL,
    member text COLLATE "C" NOT NULL,
    PRIMARY KEY (id, member_id)
);

-- name: create_sorted_sets
CREATE TABLE "queue_metrics_sorted_sets" (
    id bytea NOT NULL,
    member_id bytea NOT NULL,
    member text COLLATE "C" NOT NULL,
    score double precision NOT NULL,
    PRIMARY KEY (id, member_id)
);

-- name: create_sorted_sets_score
CREATE INDEX "queue_metrics_sorted_sets_score" ON "queue_metrics_sorted_sets" (id, score);
