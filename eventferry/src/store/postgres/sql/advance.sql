-- Move a consumer's watermark. Promise: only forward; a transaction that moves the same one waits for this one. No row changes if it stands there.
-- $1 consumer, $2 source, $3 topic, $4 partition (-1: none), $5 order key, $6 position
INSERT INTO outbox_watermark AS w (consumer, source, topic, partition, order_key, position) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (consumer, source, topic, partition, order_key)
    DO UPDATE SET position = excluded.position, moved_at = clock_timestamp() WHERE w.position < excluded.position
