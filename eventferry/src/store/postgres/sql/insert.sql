-- Write events. Promise: every lock is held, in the order of its slot, before the first id is drawn; ids rise in the order given.
-- One array for each column, one element for each event: $1 message id, $2 order key, $3 ordered, $4 due in microseconds since 1970,
-- $5 aggregate type, $6 aggregate id, $7 topic, $8 key, $9 partition, $10 event type, $11 event version, $12 content type,
-- $13 headers, $14 payload; $15 is how many there are.
WITH given AS MATERIALIZED (
    SELECT g.message_id, g.order_key, g.ordered, g.due, g.aggregate_type, g.aggregate_id, g.topic, g.key, g.partition, g.event_type,
        g.event_version, g.content_type, g.headers, g.payload, g.place
    FROM unnest($1::uuid[], $2::int8[], $3::bool[], $4::int8[], $5::text[], $6::text[], $7::text[], $8::text[], $9::int4[], $10::text[],
        $11::int4[], $12::text[], $13::text[], $14::bytea[]) WITH ORDINALITY AS g (message_id, order_key, ordered, due, aggregate_type,
        aggregate_id, topic, key, partition, event_type, event_version, content_type, headers, payload, place)
),
-- One key for each slot. Counting takes every lock; EXISTS would take the first and stop.
held AS MATERIALIZED (
    SELECT count(*) AS locks
    FROM (
        SELECT outbox_lock(slot.order_key)
        FROM (SELECT min(order_key) AS order_key FROM given WHERE ordered GROUP BY order_key & 4095 ORDER BY order_key & 4095) AS slot
        OFFSET 0
    ) AS lock
),
written AS (
    INSERT INTO outbox (message_id, order_key, ordered, status, available_at, aggregate_type, aggregate_id, topic, key, partition,
        event_type, event_version, content_type, headers, payload)
    SELECT g.message_id, g.order_key, g.ordered, CASE WHEN g.due IS NULL THEN 0 ELSE 1 END,
        'epoch'::timestamptz + g.due * interval '1 microsecond', g.aggregate_type, g.aggregate_id, g.topic, g.key, g.partition,
        g.event_type, g.event_version, g.content_type, g.headers::json, g.payload
    FROM held CROSS JOIN given AS g
    ORDER BY g.place
    ON CONFLICT (message_id) DO NOTHING
    RETURNING id, message_id
)
SELECT id, message_id, false AS dead FROM written
UNION ALL
-- Only where something was there already: is that row dead?
SELECT NULL, g.message_id, coalesce((SELECT o.status IN (4, 5) FROM outbox AS o WHERE o.message_id = g.message_id), false)
FROM given AS g
WHERE (SELECT count(*) FROM written) < $15
