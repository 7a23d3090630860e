-- List rows an operator decides about, by id. Promise: never a payload; two walks by id, of which the filter's statuses switch one off.
-- $1 statuses, $2 after this id, $3 rows at most, $4 topic, $5 order key, $6 aggregate type, $7 aggregate id (null: any)
WITH picked AS MATERIALIZED (
    (
        SELECT o.id
        FROM outbox AS o
        WHERE o.status IN (4, 5) AND o.status = ANY ($1::int2[]) AND o.id > $2 AND ($4::text IS NULL OR o.topic = $4)
            AND ($5::int8 IS NULL OR (o.order_key = $5 AND o.aggregate_type = $6 AND o.aggregate_id = $7))
            AND $1::int2[] && '{4, 5}'
        ORDER BY o.id
        LIMIT $3
    )
    UNION ALL
    (
        SELECT w.id
        FROM (
            SELECT o.id
            FROM outbox AS o
            WHERE o.status IN (1, 3) AND o.status = ANY ($1::int2[]) AND o.id > $2 AND ($4::text IS NULL OR o.topic = $4)
                AND ($5::int8 IS NULL OR (o.order_key = $5 AND o.aggregate_type = $6 AND o.aggregate_id = $7))
                AND $1::int2[] && '{1, 3}'
            -- A fence: with the order pushed in, the planner walks the table in search of rows that wait.
            OFFSET 0
        ) AS w
        ORDER BY w.id
        LIMIT $3
    )
    ORDER BY id
    LIMIT $3
)
SELECT o.id, o.message_id, o.order_key, o.ordered, o.status, o.attempts,
    CASE WHEN o.status IN (1, 3) THEN o.available_at - statement_timestamp() END AS due_in, o.partition, o.event_version, o.created_at,
    o.aggregate_type, o.aggregate_id, o.topic, o.key, o.event_type, o.content_type, o.headers,
    NULL::bytea AS payload, octet_length(o.payload) AS deferred_bytes,
    CASE WHEN o.status IN (1, 3) THEN o.available_at END AS available_at, o.processed_at, o.last_error
FROM picked
JOIN outbox AS o ON o.id = picked.id
ORDER BY o.id
