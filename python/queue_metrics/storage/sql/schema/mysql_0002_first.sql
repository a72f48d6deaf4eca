-- Schema version 2, the first that MySQL and MariaDB have. `queue_metrics` stands for the prefix.
-- A statement that makes a table cannot be undone there, so each may be run again.
-- Times are seconds since 1970 by the store's clock; a series id is the u64 as a signed 64-bit number. Text lies as its UTF-8 bytes: so
-- it is compared byte by byte, and no blank at an end and no collation is in the way. CONVERT(name USING utf8mb4) shows it.
-- An id is BLAKE2b-128 of a type letter, ":" and the name, a spool's, member's or field's that of its text: text may be longer than any index takes.

-- name: create_series
-- What happened to a series in a step of time; step 0, bucket 0 is its total, step -1, bucket 0 its labels, which never expire.
CREATE TABLE IF NOT EXISTS "queue_metrics_series" (
    step int NOT NULL,
    series bigint NOT NULL,
    bucket bigint NOT NULL,
    value mediumblob NOT NULL,
    expires_at bigint,
    PRIMARY KEY (step, series, bucket),
    KEY "queue_metrics_series_expiry" (expires_at)
) ENGINE = InnoDB;

-- name: create_marks
-- How far the numbers go, by spool and shard; moved in the transaction that changes them.
CREATE TABLE IF NOT EXISTS "queue_metrics_marks" (
    id binary(16) NOT NULL,
    shard int NOT NULL,
    spool longblob NOT NULL,
    sequence bigint NOT NULL,
    positions longblob NOT NULL,
    touched_at double NOT NULL,
    PRIMARY KEY (id, shard)
) ENGINE = InnoDB;

-- name: create_keys
-- A header for everything that has a name. Its type: k key, h hash, s set, z sorted set, w heartbeat of a worker, l lease, v schema
-- version, m migration. The value is that of a key, heartbeat or lease, or a version. Dead from expires_at on: then it counts as not
-- there, with all that hangs on it. The version changes at random with every change, for who watches the name.
CREATE TABLE IF NOT EXISTS "queue_metrics_keys" (
    id binary(16) NOT NULL PRIMARY KEY,
    type binary(1) NOT NULL,
    name longblob NOT NULL,
    value longblob,
    expires_at double,
    version bigint NOT NULL,
    written_at double NOT NULL,
    KEY "queue_metrics_keys_type" (type)
) ENGINE = InnoDB;

-- name: create_hashes
CREATE TABLE IF NOT EXISTS "queue_metrics_hashes" (
    id binary(16) NOT NULL,
    field_id binary(16) NOT NULL,
    field longblob NOT NULL,
    value longblob NOT NULL,
    PRIMARY KEY (id, field_id)
) ENGINE = InnoDB;

-- name: create_sets
CREATE TABLE IF NOT EXISTS "queue_metrics_sets" (
    id binary(16) NOT NULL,
    member_id binary(16) NOT NULL,
    member longblob NOT NULL,
    PRIMARY KEY (id, member_id)
) ENGINE = InnoDB;

-- name: create_sorted_sets
CREATE TABLE IF NOT EXISTS "queue_metrics_sorted_sets" (
    id binary(16) NOT NULL,
    member_id binary(16) NOT NULL,
    member longblob NOT NULL,
    score double NOT NULL,
    PRIMARY KEY (id, member_id),
    KEY "queue_metrics_sorted_sets_score" (id, score)
) ENGINE = InnoDB;
