-- List rows an operator decides about, by id. Promise: never a payload.
-- ?1 JSON: [status, ..], ?2 after this id, ?3 rows at most, ?4 topic, ?5 order key, ?6 aggregate type, ?7 aggregate id (null: any)
WITH picked (id) AS (
    SELECT id FROM (
        SELECT o.id
        FROM outbox o
        WHERE o.status IN (4, 5) AND o.status IN (SELECT value FROM json_each(?1)) AND o.id > ?2 AND (?4 IS NULL OR o.topic = ?4)
            AND (?5 IS NULL OR (o.order_key = ?5 AND o.aggregate_type = ?6 AND o.aggregate_id = ?7))
        ORDER BY o.id
        LIMIT ?3
    )
    UNION ALL
    SELECT id FROM (
        SELECT o.id
        FROM outbox o
        WHERE o.status IN (1, 3) AND o.status IN (SELECT value FROM json_each(?1)) AND o.id > ?2 AND (?4 IS NULL OR o.topic = ?4)
            AND (?5 IS NULL OR (o.order_key = ?5 AND o.aggregate_type = ?6 AND o.aggregate_id = ?7))
        ORDER BY o.id
        LIMIT ?3
    )
)
SELECT
    o.id, o.message_id, o.order_key, o.ordered, o.status, o.attempts, o.aggregate_type, o.aggregate_id, o.topic, o.key, o.partition,
    o.event_type, o.event_version, NULL AS payload, length(o.payload) AS payload_bytes,
    o.content_type, o.headers, o.created_at, max(0, o.available_at - CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000) AS due_in,
    iif(o.status IN (1, 3), o.available_at, NULL) AS available_at, o.processed_at, o.last_error
FROM picked
JOIN outbox o ON o.id = picked.id
ORDER BY o.id
LIMIT ?3
