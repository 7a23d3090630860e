-- Forget what a consumer handled long ago, so many messages at a time.
-- ?1 consumer, ?2 microseconds, ?3 limit
DELETE FROM outbox_inbox
WHERE consumer = ?1 AND message_id IN (
    SELECT i.message_id
    FROM outbox_inbox i
    WHERE i.consumer = ?1 AND i.handled_at < CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000 - ?2
    ORDER BY i.handled_at
    LIMIT ?3
)
