-- Look through lanes beyond their cursors. Promise: where the unsettled rows of each aggregate met lie, by one snapshot, lowest ids first.
-- $1 lanes, $2 their cursors, $3 how many rows of each at most
SELECT f.order_key, f.ordered, min(f.id) AS first, max(f.id) AS last, count(*)::int4 AS rows
FROM unnest($1::int2[], $2::int8[], $3::int4[]) AS w (lane, cursor, rows)
CROSS JOIN LATERAL (
    SELECT o.id, o.order_key, o.ordered
    FROM outbox AS o
    WHERE o.lane = w.lane AND o.status IN (0, 3, 5) AND o.id > w.cursor
    -- By lane as well, or the planner walks the primary key.
    ORDER BY o.lane, o.id
    LIMIT w.rows
) AS f
GROUP BY f.order_key, f.ordered
