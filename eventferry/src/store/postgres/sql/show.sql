-- Show one row, whatever its status. Promise: its payload only if it was asked for.
-- $1 message id, $2 whether with its payload
SELECT o.id, o.message_id, o.order_key, o.ordered, o.status, o.attempts,
    CASE WHEN o.status IN (1, 3) THEN o.available_at - statement_timestamp() END AS due_in, o.partition, o.event_version, o.created_at,
    o.aggregate_type, o.aggregate_id, o.topic, o.key, o.event_type, o.content_type, o.headers,
    CASE WHEN $2::bool THEN o.payload END AS payload, octet_length(o.payload) AS deferred_bytes,
    CASE WHEN o.status IN (1, 3) THEN o.available_at END AS available_at, o.processed_at, o.last_error
FROM outbox AS o
WHERE o.message_id = $1
