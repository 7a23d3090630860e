-- Forget watermarks that a consumer has not moved for long, so many at a time.
-- ?1 consumer, ?2 microseconds, ?3 limit
DELETE FROM outbox_watermark
WHERE (consumer, source, topic, partition, order_key) IN (
    SELECT w.consumer, w.source, w.topic, w.partition, w.order_key
    FROM outbox_watermark w
    WHERE w.consumer = ?1 AND w.moved_at < CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000 - ?2
    LIMIT ?3
)
