-- Insert one event. Promise: a message id that is there already inserts nothing and returns no row.
-- ?1 message id, ?2 order key, ?3 ordered, ?4 aggregate type, ?5 aggregate id, ?6 topic, ?7 key, ?8 partition, ?9 event type,
-- ?10 event version, ?11 payload, ?12 content type, ?13 headers, ?14 not before (null: at once)
INSERT INTO outbox (
    message_id, order_key, ordered, aggregate_type, aggregate_id, topic, key, partition, event_type,
    event_version, payload, content_type, headers, status, available_at
) VALUES (
    ?1, ?2, ?3 AND ?14 IS NULL, ?4, ?5, ?6, ?7, ?8, ?9,
    ?10, ?11, ?12, ?13, ?14 IS NOT NULL, coalesce(?14, CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000)
)
ON CONFLICT (message_id) DO NOTHING
RETURNING id
