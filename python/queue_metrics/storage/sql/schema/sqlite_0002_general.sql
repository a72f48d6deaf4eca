-- Schema version 2: room for the general operations, and the labels among the series. `queue_metrics` stands for the prefix.
-- An id is `blake2b_128` of a type letter, ":" and the name, a function that we bring along: a name may be longer than any index takes.

-- name: keep_first_keys
ALTER TABLE "queue_metrics_keys" RENAME TO "queue_metrics_keys_1";

-- name: create_keys
-- A header for everything that has a name. Its type: k key, h hash, s set, z sorted set, w heartbeat of a worker, l lease, v schema
-- version, m migration. The value is that of a key, heartbeat or lease, or a version. Dead from expires_at on: then it counts as not
-- there, with all that hangs on it. The version changes at random with every change, for who watches the name.
CREATE TABLE "queue_metrics_keys" (
    id BLOB PRIMARY KEY,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    value BLOB,
    expires_at REAL,
    version INTEGER NOT NULL,
    written_at REAL NOT NULL
) WITHOUT ROWID;

-- name: create_keys_type
-- For whoever reads all heartbeats.
CREATE INDEX "queue_metrics_keys_type" ON "queue_metrics_keys" (type);

-- name: copy_beats
INSERT INTO "queue_metrics_keys" (id, type, name, value, expires_at, version, written_at)
SELECT blake2b_128('w:' || substr(name, 8)), 'w', substr(name, 8), value, expires_at, 0, written_at
FROM "queue_metrics_keys_1" WHERE name >= 'worker:' AND name < 'worker;';

-- name: copy_leases
INSERT INTO "queue_metrics_keys" (id, type, name, value, expires_at, version, written_at)
SELECT blake2b_128('l:' || substr(name, 7)), 'l', substr(name, 7), value, expires_at, 0, written_at
FROM "queue_metrics_keys_1" WHERE name >= 'lease:' AND name < 'lease;';

-- name: drop_first_keys
DROP TABLE "queue_metrics_keys_1";

-- name: copy_labels
-- Step -1, bucket 0 of a series holds its labels.
INSERT INTO "queue_metrics_series" (series, step, bucket, value, expires_at) SELECT series, -1, 0, labels, NULL FROM "queue_metrics_labels";

-- name: drop_labels
DROP TABLE "queue_metrics_labels";

-- name: create_series_labels
-- Else whoever asks for all labels reads all points.
CREATE INDEX "queue_metrics_series_labels" ON "queue_metrics_series" (series) WHERE step = -1;

-- name: create_hashes
-- The fields of hashes; field_id is `blake2b_128` of the field.
CREATE TABLE "queue_metrics_hashes" (
    id BLOB NOT NULL,
    field_id BLOB NOT NULL,
    field TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (id, field_id)
) WITHOUT ROWID;

-- name: create_sets
CREATE TABLE "queue_metrics_sets" (
    id BLOB NOT NULL,
    member_id BLOB NOT NULL,
    member TEXT NOT NULL,
    PRIMARY KEY (id, member_id)
) WITHOUT ROWID;

-- name: create_sorted_sets
CREATE TABLE "queue_metrics_sorted_sets" (
    id BLOB NOT NULL,
    member_id BLOB NOT NULL,
    member TEXT NOT NULL,
    score REAL NOT NULL,
    PRIMARY KEY (id, member_id)
) WITHOUT ROWID;

-- name: create_sorted_sets_score
CREATE INDEX "queue_metrics_sorted_sets_score" ON "queue_metrics_sorted_sets" (id, score);
