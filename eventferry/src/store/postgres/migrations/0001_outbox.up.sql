-- The outbox and what stands beside it. Promise: all of it or nothing (run it in one transaction).

CREATE TABLE outbox (
    -- CACHE 1: a session that keeps ids in stock would hand them out against the order of commits.
    id bigint GENERATED ALWAYS AS IDENTITY (INCREMENT BY 1 CACHE 1 NO CYCLE) PRIMARY KEY,
    message_id uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    order_key bigint NOT NULL,
    -- A modulo of a negative key would be negative, and such a row would belong to no lane.
    lane smallint NOT NULL GENERATED ALWAYS AS ((order_key & 63)::smallint) STORED,
    ordered boolean NOT NULL DEFAULT true,
    tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
    status smallint NOT NULL DEFAULT 0,
    attempts integer NOT NULL DEFAULT 0,
    partition integer,
    event_version integer NOT NULL DEFAULT 1,
    available_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    processed_at timestamptz,
    aggregate_type text NOT NULL,
    aggregate_id text NOT NULL,
    topic text NOT NULL,
    key text,
    event_type text NOT NULL,
    content_type text NOT NULL DEFAULT 'application/json',
    -- json keeps the headers in the order in which they were set.
    headers json NOT NULL DEFAULT '{}',
    payload bytea,
    last_error text,
    CONSTRAINT known_status CHECK (status BETWEEN 0 AND 5),
    CONSTRAINT only_ordered_rows_hold CHECK (ordered OR status NOT IN (3, 5)),
    CONSTRAINT waiting_has_a_time CHECK (available_at IS NOT NULL OR status NOT IN (1, 3)),
    CONSTRAINT headers_are_an_object CHECK (json_typeof(headers) = 'object')
) WITH (
    fillfactor = 90,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 0
);

CREATE INDEX ix_outbox_lane ON outbox (lane, id) WHERE status IN (0, 3, 5);
CREATE INDEX ix_outbox_tx ON outbox (tx, id) WHERE status = 0;
CREATE INDEX ix_outbox_key ON outbox (order_key, ordered, id) WHERE status IN (0, 3, 5);
CREATE INDEX ix_outbox_due ON outbox (lane, available_at, id) WHERE status IN (1, 3);
CREATE INDEX ix_outbox_dead ON outbox (id) WHERE status IN (4, 5);

COMMENT ON TABLE outbox IS 'eventferry: events on their way to the broker';
COMMENT ON COLUMN outbox.status IS '0 pending, 1 scheduled, 2 done, 3 failed and waiting, 4 dead, 5 dead and holding its aggregate';

-- Who carries which lane.
CREATE TABLE outbox_lane (
    lane smallint PRIMARY KEY CHECK (lane BETWEEN 0 AND 63),
    owner uuid,
    epoch bigint NOT NULL DEFAULT 0,
    taken_at timestamptz,
    leased_until timestamptz,
    deaths integer NOT NULL DEFAULT 0
) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);
INSERT INTO outbox_lane (lane) SELECT generate_series(0, 63);

-- Which relays are alive; one row for each start of a process.
CREATE TABLE outbox_relay (
    id uuid PRIMARY KEY,
    host text,
    version text,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    doing text
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);

-- What this outbox is: one row.
CREATE TABLE outbox_meta (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version integer NOT NULL,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    lease_ms integer NOT NULL DEFAULT 15000 CHECK (lease_ms BETWEEN 100 AND 3600000)
);
INSERT INTO outbox_meta (version) VALUES (1);

-- What consumers have handled, each in its own transaction.
CREATE TABLE outbox_inbox (
    consumer text NOT NULL,
    message_id uuid NOT NULL,
    handled_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer, message_id)
);
CREATE INDEX ix_outbox_handled ON outbox_inbox (consumer, handled_at);

-- How far consumers have come with each aggregate: one row for as many events as it has.
CREATE TABLE outbox_watermark (
    consumer text NOT NULL,
    source text NOT NULL,
    topic text NOT NULL,
    -- -1 where the broker has none, or the consumer cannot tell.
    partition integer NOT NULL,
    order_key bigint NOT NULL,
    position bigint NOT NULL,
    moved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer, source, topic, partition, order_key)
    -- Room for a moved watermark beside the old one: no index changes then.
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);

-- The order key of an aggregate: what its events are kept in order by.
CREATE FUNCTION outbox_order_key(aggregate_type text, aggregate_id text) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN ('x' || left(encode(sha256(convert_to(aggregate_type, 'UTF8') || '\x00'::bytea || convert_to(aggregate_id, 'UTF8')), 'hex'), 16))::bit(64)::bigint;

-- Takes an aggregate's place in the order of commits, until the transaction ends. Every writer calls it before it draws an id.
CREATE FUNCTION outbox_lock(order_key bigint) RETURNS void
LANGUAGE sql VOLATILE
AS $$ SELECT pg_advisory_xact_lock('outbox'::regclass::oid::int4, (order_key & 4095)::int4) $$;

-- The same for writers that know the aggregate only.
CREATE FUNCTION outbox_lock(aggregate_type text, aggregate_id text) RETURNS void
LANGUAGE sql VOLATILE
AS $$ SELECT outbox_lock(outbox_order_key(aggregate_type, aggregate_id)) $$;

-- Writes one event by hand, in its place in the order. Answers the row's id, or null if the message id was there already.
CREATE FUNCTION outbox_enqueue(
    topic text,
    aggregate_type text,
    aggregate_id text,
    event_type text,
    payload bytea,
    event_version integer DEFAULT 1,
    key text DEFAULT NULL,
    headers json DEFAULT '{}',
    content_type text DEFAULT 'application/json',
    message_id uuid DEFAULT gen_random_uuid()
) RETURNS bigint
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    place bigint := outbox_order_key(aggregate_type, aggregate_id);
    position bigint;
BEGIN
    -- A statement of its own: the id must be drawn after the lock is held.
    PERFORM outbox_lock(place);
    INSERT INTO outbox (message_id, order_key, topic, key, aggregate_type, aggregate_id, event_type, event_version, content_type, headers, payload)
    VALUES (message_id, place, topic, coalesce(key, aggregate_id), aggregate_type, aggregate_id, event_type, event_version, content_type, headers, payload)
    ON CONFLICT DO NOTHING
    RETURNING id INTO position;
    RETURN position;
END
$$;

-- A payload as JSON; null if it cannot be shown as such.
CREATE FUNCTION outbox_json(payload bytea) RETURNS json
LANGUAGE plpgsql IMMUTABLE STRICT
AS $$
BEGIN
    RETURN convert_from(payload, 'UTF8')::json;
EXCEPTION WHEN others THEN
    RETURN NULL;
END
$$;

-- The outbox for people: words in place of numbers, JSON payloads as JSON.
CREATE VIEW outbox_readable AS
SELECT
    id,
    message_id,
    (ARRAY['pending', 'scheduled', 'done', 'failed', 'dead', 'dead and holding'])[status + 1] AS status,
    topic,
    key,
    event_type,
    event_version,
    aggregate_type,
    aggregate_id,
    ordered,
    attempts,
    last_error,
    available_at,
    created_at,
    processed_at,
    headers,
    CASE WHEN content_type ILIKE '%json%' THEN outbox_json(payload) END AS payload,
    octet_length(payload) AS payload_bytes
FROM outbox;

CREATE FUNCTION outbox_refuse_truncate() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION 'refusing to truncate %: undelivered events would be lost and ids given twice', TG_RELID::regclass
        USING HINT = 'delete rows with status 2 instead, or run the down migration';
END
$$;
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON outbox FOR EACH STATEMENT EXECUTE FUNCTION outbox_refuse_truncate();
