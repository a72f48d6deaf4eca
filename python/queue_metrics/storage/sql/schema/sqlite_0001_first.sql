-- Schema version 1. `queue_metrics` stands for the prefix.
-- Times are seconds since 1970 by the store's clock; a series id is the u64 as a signed 64-bit number.

-- name: create_series
-- What happened to a series in a step of time; step 0, bucket 0 is its total, which never expires.
CREATE TABLE "queue_metrics_series" (
    series INTEGER NOT NULL,
    step INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    value BLOB NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (series, step, bucket)
) WITHOUT ROWID;

-- name: create_series_expiry
-- For the sweep. An update of a value leaves it alone, so it costs one entry per point, not per batch.
CREATE INDEX "queue_metrics_series_expiry" ON "queue_metrics_series" (expires_at) WHERE expires_at IS NOT NULL;

-- name: create_labels
-- What the series are; written once, compared ever after.
CREATE TABLE "queue_metrics_labels" (
    series INTEGER PRIMARY KEY,
    labels BLOB NOT NULL
);

-- name: create_marks
-- How far the numbers go, by spool and shard; moved in the transaction that changes them.
CREATE TABLE "queue_metrics_marks" (
    spool TEXT NOT NULL,
    shard INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    positions BLOB NOT NULL,
    touched_at REAL NOT NULL,
    PRIMARY KEY (spool, shard)
) WITHOUT ROWID;

-- name: create_keys
-- Heartbeats (worker:<id>), leases (lease:<name>) and the schema version.
CREATE TABLE "queue_metrics_keys" (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL,
    expires_at REAL,
    written_at REAL NOT NULL
) WITHOUT ROWID;
