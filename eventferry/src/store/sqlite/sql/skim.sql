-- Look through lanes beyond their cursors. Promise: where the unsettled rows of each aggregate met lie, lowest ids first.
-- ?1 JSON: [[lane, cursor, limit], ..]
-- The walk is that of read.sql.
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
SELECT o.order_key, o.ordered, min(o.id) AS first, max(o.id) AS last, count(*) AS rows
FROM walk
JOIN outbox o ON o.id = walk.id
WHERE walk.step > 0
GROUP BY o.order_key, o.ordered
