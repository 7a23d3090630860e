-- Migration 1: the outbox, its lanes, relays, settings and inbox. Times are microseconds since 1970 in UTC.

CREATE TABLE outbox (
    -- AUTOINCREMENT, or the id of a deleted row is drawn again and a repeated ack deletes an event that was not delivered.
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id     BLOB NOT NULL CHECK (length(message_id) = 16),
    order_key      INTEGER NOT NULL,
    lane           INTEGER NOT NULL GENERATED ALWAYS AS (order_key & 63) VIRTUAL,
    ordered        INTEGER NOT NULL DEFAULT 1 CHECK (ordered IN (0, 1)),
    -- 0 pending, 1 scheduled, 2 done, 3 failed, 4 dead, 5 dead and holding its aggregate.
    status         INTEGER NOT NULL DEFAULT 0 CHECK (status BETWEEN 0 AND 5),
    aggregate_type TEXT NOT NULL,
    aggregate_id   TEXT NOT NULL,
    topic          TEXT NOT NULL,
    key            TEXT,
    partition      INTEGER CHECK (partition BETWEEN 0 AND 2147483647),
    event_type     TEXT NOT NULL,
    event_version  INTEGER NOT NULL DEFAULT 1 CHECK (event_version BETWEEN 0 AND 2147483647),
    payload        BLOB,
    content_type   TEXT NOT NULL DEFAULT 'application/json',
    headers        TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(headers) AND json_type(headers) = 'object'),
    attempts       INTEGER NOT NULL DEFAULT 0 CHECK (attempts BETWEEN 0 AND 4294967295),
    available_at   INTEGER NOT NULL DEFAULT (CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000),
    created_at     INTEGER NOT NULL DEFAULT (CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000),
    processed_at   INTEGER,
    last_error     TEXT,
    CHECK (ordered OR status NOT IN (3, 5))
) STRICT;

CREATE UNIQUE INDEX ix_outbox_message ON outbox (message_id);
CREATE INDEX ix_outbox_fresh ON outbox (lane, id) WHERE status IN (0, 3, 5);
CREATE INDEX ix_outbox_aggregate ON outbox (order_key, ordered, id) WHERE status IN (0, 3, 5);
CREATE INDEX ix_outbox_due ON outbox (lane, available_at, id) WHERE status IN (1, 3);
CREATE INDEX ix_outbox_dead ON outbox (id) WHERE status IN (4, 5);
CREATE INDEX ix_outbox_done ON outbox (processed_at) WHERE status = 2;

CREATE TABLE outbox_lane (
    lane         INTEGER PRIMARY KEY CHECK (lane BETWEEN 0 AND 63),
    owner        BLOB,
    epoch        INTEGER NOT NULL DEFAULT 0,
    leased_until INTEGER,
    deaths       INTEGER NOT NULL DEFAULT 0
) STRICT;

INSERT INTO outbox_lane (lane)
WITH RECURSIVE lanes (lane) AS (SELECT 0 UNION ALL SELECT lane + 1 FROM lanes WHERE lane < 63)
SELECT lane FROM lanes;

CREATE TABLE outbox_relay (
    id         BLOB PRIMARY KEY,
    host       TEXT,
    version    TEXT,
    started_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    doing      TEXT
) STRICT;

CREATE TABLE outbox_meta (
    only_row     INTEGER PRIMARY KEY CHECK (only_row = 1),
    version      INTEGER NOT NULL,
    uuid         TEXT NOT NULL,
    lease_micros INTEGER NOT NULL CHECK (lease_micros >= 1000000)
) STRICT;

INSERT INTO outbox_meta (only_row, version, uuid, lease_micros) VALUES (1, 1, lower(hex(randomblob(16))), 15000000);

CREATE TABLE outbox_inbox (
    consumer    TEXT NOT NULL,
    message_id  BLOB NOT NULL CHECK (length(message_id) = 16),
    handled_at  INTEGER NOT NULL DEFAULT (CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000),
    PRIMARY KEY (consumer, message_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX ix_outbox_handled ON outbox_inbox (consumer, handled_at);

-- How far consumers have come with each aggregate: one row for as many events as it has.
CREATE TABLE outbox_watermark (
    consumer  TEXT NOT NULL,
    source    TEXT NOT NULL,
    topic     TEXT NOT NULL,
    -- -1 where the broker has none, or the consumer cannot tell.
    partition INTEGER NOT NULL,
    order_key INTEGER NOT NULL,
    position  INTEGER NOT NULL,
    moved_at  INTEGER NOT NULL DEFAULT (CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000),
    PRIMARY KEY (consumer, source, topic, partition, order_key)
) STRICT, WITHOUT ROWID;

-- For people: JSON payloads as JSON, times as text. A payload that cannot be shown is null.
CREATE VIEW outbox_readable AS
SELECT
    id,
    lower(format(
        '%s-%s-%s-%s-%s',
        hex(substr(message_id, 1, 4)), hex(substr(message_id, 5, 2)), hex(substr(message_id, 7, 2)), hex(substr(message_id, 9, 2)),
        hex(substr(message_id, 11))
    )) AS message_id,
    CASE status WHEN 0 THEN 'pending' WHEN 1 THEN 'scheduled' WHEN 2 THEN 'done' WHEN 3 THEN 'failed' WHEN 4 THEN 'dead' ELSE 'holding' END AS status,
    lane,
    ordered,
    aggregate_type,
    aggregate_id,
    topic,
    key,
    partition,
    event_type,
    event_version,
    content_type,
    CASE WHEN json_valid(CAST(payload AS TEXT)) THEN json(CAST(payload AS TEXT)) END AS payload,
    length(payload) AS payload_bytes,
    headers,
    attempts,
    strftime('%Y-%m-%dT%H:%M:%fZ', available_at / 1000000.0, 'unixepoch') AS available_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', created_at / 1000000.0, 'unixepoch') AS created_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', processed_at / 1000000.0, 'unixepoch') AS processed_at,
    last_error
FROM outbox;

-- Migration 2: the schemas of events. Services write them at their start, relays that frame payloads read them.

CREATE TABLE outbox_schema (
    -- What a row names in its header event-schema.
    fingerprint   TEXT PRIMARY KEY CHECK (length(fingerprint) = 64),
    kind          TEXT NOT NULL CHECK (kind IN ('JSON', 'AVRO', 'PROTOBUF')),
    name          TEXT NOT NULL,
    -- Where a Protobuf message stands in its file: 0, or 1.0 for one inside another.
    message_index TEXT NOT NULL DEFAULT '',
    -- Other schemas of the registry that the text names: an array of name, subject and version.
    refs          TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(refs)),
    text          TEXT NOT NULL,
    created_at    INTEGER NOT NULL DEFAULT (CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000)
) STRICT, WITHOUT ROWID;

UPDATE outbox_meta SET version = 2;
