-- Migration 2: the schemas of events. Services write them at their start, relays that frame payloads read them.

CREATE TABLE outbox_schema (
    -- What a row names in its header event-schema.
    fingerprint text PRIMARY KEY CHECK (fingerprint ~ '^[0-9a-f]{64}$'),
    kind text NOT NULL CHECK (kind IN ('JSON', 'AVRO', 'PROTOBUF')),
    name text NOT NULL,
    -- Where a Protobuf message stands in its file: 0, or 1.0 for one inside another.
    message_index text NOT NULL DEFAULT '',
    -- Other schemas of the registry that the text names: an array of name, subject and version.
    refs json NOT NULL DEFAULT '[]',
    text text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

COMMENT ON TABLE outbox_schema IS 'eventferry: the schemas of the events in outbox';

UPDATE outbox_meta SET version = 2;
