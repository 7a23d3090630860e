-- Delete what was delivered long ago, so many rows at a time.
-- ?1 microseconds, ?2 limit
DELETE FROM outbox
WHERE id IN (
    SELECT o.id FROM outbox o WHERE o.status = 2 AND o.processed_at < CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000 - ?1 ORDER BY o.processed_at LIMIT ?2
)
