-- Read rows whose time has come, by lane, time and id, up to one limit for each lane.
-- An ordered row only says that its aggregate is due: it comes without its payload.
-- ?1 JSON: [[lane, microseconds, id], ..], ?2 the most bytes of a payload that is read with its row, ?3 limit
WITH RECURSIVE walk (lane, at, id, room) AS (
    SELECT w.value ->> 0, w.value ->> 1, w.value ->> 2, ?3 FROM json_each(?1) w
    UNION ALL
    SELECT walk.lane, n.available_at, n.id, walk.room - 1
    FROM walk
    -- In two parts: comparing the pair at once would walk all rows of one time, and a hundred thousand may be scheduled for midnight.
    JOIN outbox n ON n.id = coalesce(
        (
            SELECT x.id
            FROM outbox x
            WHERE x.lane = walk.lane AND x.available_at = walk.at AND x.id > walk.id AND x.status IN (1, 3)
                AND x.available_at <= CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000
            ORDER BY x.id
            LIMIT 1
        ),
        (
            SELECT x.id
            FROM outbox x
            WHERE x.lane = walk.lane AND x.available_at > walk.at AND x.status IN (1, 3)
                AND x.available_at <= CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000
            ORDER BY x.available_at, x.id
            LIMIT 1
        )
    )
    WHERE walk.room > 0
)
SELECT
    walk.at,
    o.id, o.message_id, o.order_key, o.ordered, o.status, o.attempts, o.aggregate_type, o.aggregate_id, o.topic, o.key, o.partition,
    o.event_type, o.event_version, CASE WHEN NOT o.ordered AND length(o.payload) <= ?2 THEN o.payload END AS payload, length(o.payload) AS payload_bytes,
    o.content_type, o.headers, o.created_at, max(0, o.available_at - CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000) AS due_in
FROM walk
JOIN outbox o ON o.id = walk.id
WHERE walk.room < ?3
ORDER BY walk.lane, walk.at, walk.id
