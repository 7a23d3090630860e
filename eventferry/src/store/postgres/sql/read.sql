-- Read all lanes held, in one snapshot. Promise: every pending row at or below its lane's cursor that the last snapshot could not see,
-- lowest ids first, and then the rows beyond the cursors; with the snapshot itself and the server that took it.
-- $1 lanes, $2 their cursors, $3 how many rows beyond each; of the last snapshot: $4 transactions in progress, $5 xmax; $6 late rows at most
WITH wanted AS MATERIALIZED (
    SELECT w.lane, w.cursor, w.fresh FROM unnest($1::int2[], $2::int8[], $3::int4[]) AS w (lane, cursor, fresh)
),
late AS (
    SELECT o.id, o.message_id, o.order_key, o.ordered, o.status, o.attempts,
        CASE WHEN o.status = 3 THEN o.available_at - statement_timestamp() END AS due_in, o.partition, o.event_version, o.created_at,
        o.aggregate_type, o.aggregate_id, o.topic, o.key, o.event_type, o.content_type, o.headers,
        CASE WHEN octet_length(o.payload) <= 65536 THEN o.payload END AS payload,
        CASE WHEN octet_length(o.payload) > 65536 THEN octet_length(o.payload) END AS deferred_bytes
    -- Two arms, because with OR the planner walks every unsettled row; the upper bound keeps out restored rows, which carry
    -- transaction ids of another server.
    FROM (
        -- Of each transaction its lowest rows only: it may have written millions.
        SELECT o.*
        FROM unnest($4::text::xid8[]) AS t (tx)
        CROSS JOIN LATERAL (
            SELECT o.id, o.message_id, o.order_key, o.lane, o.ordered, o.status, o.attempts, o.available_at, o.partition, o.event_version,
                o.created_at, o.aggregate_type, o.aggregate_id, o.topic, o.key, o.event_type, o.content_type, o.headers, o.payload
            FROM outbox AS o
            -- Not a join with the lanes wanted, which the planner would walk; not tx = t.tx, with which it walks the primary key.
            WHERE o.status = 0 AND o.tx >= t.tx AND o.tx <= t.tx
                AND o.id <= ($2::int8[])[array_position($1::int2[], o.lane)]
            ORDER BY o.tx, o.id
            LIMIT $6
        ) AS o
        UNION ALL
        SELECT o.id, o.message_id, o.order_key, o.lane, o.ordered, o.status, o.attempts, o.available_at, o.partition, o.event_version,
            o.created_at, o.aggregate_type, o.aggregate_id, o.topic, o.key, o.event_type, o.content_type, o.headers, o.payload
        FROM outbox AS o
        WHERE o.status = 0 AND o.tx >= $5::text::xid8 AND o.tx < pg_snapshot_xmax(pg_current_snapshot())
            -- What was committed since then is mostly beyond every cursor: the index alone says so.
            AND o.id <= (SELECT max(w.cursor) FROM wanted AS w)
        -- A fence: with the lane and the cursor pushed in, the planner walks the lanes.
        OFFSET 0
    ) AS o
    JOIN wanted AS w ON w.lane = o.lane AND o.id <= w.cursor
    ORDER BY o.id
    LIMIT $6
),
fresh AS (
    SELECT f.*
    FROM wanted AS w
    CROSS JOIN LATERAL (
        SELECT o.id, o.message_id, o.order_key, o.ordered, o.status, o.attempts,
            CASE WHEN o.status = 3 THEN o.available_at - statement_timestamp() END AS due_in, o.partition, o.event_version, o.created_at,
            o.aggregate_type, o.aggregate_id, o.topic, o.key, o.event_type, o.content_type, o.headers,
            CASE WHEN octet_length(o.payload) <= 65536 THEN o.payload END AS payload,
            CASE WHEN octet_length(o.payload) > 65536 THEN octet_length(o.payload) END AS deferred_bytes
        FROM outbox AS o
        WHERE o.lane = w.lane AND o.status IN (0, 3, 5) AND o.id > w.cursor
        -- By lane as well, or the planner walks the primary key.
        ORDER BY o.lane, o.id
        LIMIT w.fresh
    ) AS f
)
SELECT NULL::int8 AS id, NULL::uuid AS message_id, NULL::int8 AS order_key, NULL::bool AS ordered, NULL::int2 AS status, NULL::int4 AS attempts,
    NULL::interval AS due_in, NULL::int4 AS partition, NULL::int4 AS event_version, NULL::timestamptz AS created_at,
    NULL::text AS aggregate_type, NULL::text AS aggregate_id, NULL::text AS topic, NULL::text AS key, NULL::text AS event_type,
    NULL::text AS content_type, NULL::json AS headers, NULL::bytea AS payload, NULL::int4 AS deferred_bytes,
    0 AS part,
    pg_current_snapshot()::text AS snapshot,
    -- Which ids these are: on this outbox, this server, this timeline of it (a failover), this table of this database (a restore).
    m.id::text || '/' || (SELECT c.system_identifier FROM pg_control_system() AS c) || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
        || '/' || (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()) || '.' || 'outbox'::regclass::oid AS source
FROM outbox_meta AS m
UNION ALL
SELECT late.*, 1, NULL, NULL FROM late
UNION ALL
SELECT fresh.*, 2, NULL, NULL FROM fresh
