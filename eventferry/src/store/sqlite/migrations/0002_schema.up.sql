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
