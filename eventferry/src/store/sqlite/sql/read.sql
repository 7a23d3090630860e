-- Read lanes beyond their cursors, up to the limit of each, by lane and id. Promise: one writer at a time, so an id above every
-- committed one is the only kind that can still come; nothing at or below a cursor is missed.
-- The first columns name the source; they come even if there is no row (then id is null).
-- ?1 JSON: [[lane, cursor, limit], ..], ?2 the most bytes of a payload that is read with its row
-- The walk goes from row to row through the index of each lane: SQLite has no limit per lane in one statement otherwise.
WITH RECURSIVE walk (lane, id, room, step) AS (
    SELECT w.value ->> 0, w.value ->> 1, w.value ->> 2, 0 FROM json_each(?1) w
    UNION ALL
    SELECT walk.lane, n.id, walk.room - 1, walk.step + 1
    FROM walk
    JOIN outbox n ON n.id = (
        SELECT x.id FROM outbox x WHERE x.lane = walk.lane AND x.id > walk.id AND x.status IN (0, 3, 5) ORDER BY x.id LIMIT 1
    )
    WHERE walk.room > 0
)
SELECT
    m.uuid,
    coalesce((SELECT q.seq FROM sqlite_sequence q WHERE q.name = 'outbox'), 0) + 1 AS xmax,
    o.id, o.message_id, o.order_key, o.ordered, o.status, o.attempts, o.aggregate_type, o.aggregate_id, o.topic, o.key, o.partition,
    o.event_type, o.event_version, CASE WHEN length(o.payload) <= ?2 THEN o.payload END AS payload, length(o.payload) AS payload_bytes,
    o.content_type, o.headers, o.created_at, max(0, o.available_at - CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000) AS due_in
FROM outbox_meta m
LEFT JOIN (SELECT walk.lane, walk.id FROM walk WHERE walk.step > 0) found
LEFT JOIN outbox o ON o.id = found.id
ORDER BY found.lane, found.id
