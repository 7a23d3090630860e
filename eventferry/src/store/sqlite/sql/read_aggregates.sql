-- Read several aggregates by id, beyond what is known of each, up to one limit for each.
-- ?1 JSON: [[order key, ordered, after], ..], ?2 the most bytes of a payload that is read with its row, ?3 limit
WITH RECURSIVE walk (n, order_key, ordered, id, room) AS (
    SELECT w.key, w.value ->> 0, w.value ->> 1, w.value ->> 2, ?3 FROM json_each(?1) w
    UNION ALL
    SELECT walk.n, walk.order_key, walk.ordered, n.id, walk.room - 1
    FROM walk
    JOIN outbox n ON n.id = (
        SELECT x.id
        FROM outbox x
        WHERE x.order_key = walk.order_key AND x.ordered = walk.ordered AND x.id > walk.id AND x.status IN (0, 3, 5)
        ORDER BY x.id
        LIMIT 1
    )
    WHERE walk.room > 0
)
SELECT
    o.id, o.message_id, o.order_key, o.ordered, o.status, o.attempts, o.aggregate_type, o.aggregate_id, o.topic, o.key, o.partition,
    o.event_type, o.event_version, CASE WHEN length(o.payload) <= ?2 THEN o.payload END AS payload, length(o.payload) AS payload_bytes,
    o.content_type, o.headers, o.created_at, max(0, o.available_at - CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000) AS due_in
FROM walk
JOIN outbox o ON o.id = walk.id
WHERE walk.room < ?3
ORDER BY walk.n, walk.id
