-- Read the unsettled rows of several aggregates, by id. Promise: all of one snapshot, up to the limit of each.
-- $1 order keys, $2 their ordered rows or their unordered ones, $3 only beyond these ids, $4 rows of each at most
SELECT f.*
FROM unnest($1::int8[], $2::bool[], $3::int8[]) WITH ORDINALITY AS w (order_key, ordered, after, place)
CROSS JOIN LATERAL (
    SELECT o.id, o.message_id, o.order_key, o.ordered, o.status, o.attempts,
        CASE WHEN o.status = 3 THEN o.available_at - statement_timestamp() END AS due_in, o.partition, o.event_version, o.created_at,
        o.aggregate_type, o.aggregate_id, o.topic, o.key, o.event_type, o.content_type, o.headers,
        CASE WHEN octet_length(o.payload) <= 65536 THEN o.payload END AS payload,
        CASE WHEN octet_length(o.payload) > 65536 THEN octet_length(o.payload) END AS deferred_bytes
    FROM outbox AS o
    WHERE o.order_key = w.order_key AND o.ordered = w.ordered AND o.status IN (0, 3, 5) AND o.id > w.after
    ORDER BY o.order_key, o.ordered, o.id
    LIMIT $4
) AS f
ORDER BY w.place, f.id
