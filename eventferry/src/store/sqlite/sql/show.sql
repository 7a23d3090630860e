-- Show one row, whatever its status. Promise: its payload only if it was asked for.
-- ?1 message id, ?2 whether with its payload
SELECT
    o.id, o.message_id, o.order_key, o.ordered, o.status, o.attempts, o.aggregate_type, o.aggregate_id, o.topic, o.key, o.partition,
    o.event_type, o.event_version, iif(?2, o.payload, NULL) AS payload, length(o.payload) AS payload_bytes,
    o.content_type, o.headers, o.created_at, max(0, o.available_at - CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000) AS due_in,
    iif(o.status IN (1, 3), o.available_at, NULL) AS available_at, o.processed_at, o.last_error
FROM outbox o
WHERE o.message_id = ?1
