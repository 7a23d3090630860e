-- Forget what a consumer handled long ago. Promise: at most $3 messages and watermarks; waits for nobody.
-- $1 consumer, $2 age in microseconds, $3 limit
WITH old AS MATERIALIZED (
    SELECT i.consumer, i.message_id
    FROM outbox_inbox AS i
    WHERE i.consumer = $1 AND i.handled_at < statement_timestamp() - $2::int8 * interval '1 microsecond'
    ORDER BY i.handled_at
    LIMIT $3::int8
    FOR UPDATE SKIP LOCKED
),
messages AS (
    DELETE FROM outbox_inbox AS i USING old WHERE i.consumer = old.consumer AND i.message_id = old.message_id RETURNING 1
),
still AS MATERIALIZED (
    SELECT w.consumer, w.source, w.topic, w.partition, w.order_key
    FROM outbox_watermark AS w
    WHERE w.consumer = $1 AND w.moved_at < statement_timestamp() - $2::int8 * interval '1 microsecond'
    -- Watermarks are looked through only when there are no more messages to forget.
    LIMIT $3::int8 - (SELECT count(*) FROM messages)
    FOR UPDATE SKIP LOCKED
),
marks AS (
    DELETE FROM outbox_watermark AS w
    USING still AS s
    WHERE w.consumer = s.consumer AND w.source = s.source AND w.topic = s.topic AND w.partition = s.partition AND w.order_key = s.order_key
    RETURNING 1
)
SELECT (SELECT count(*) FROM messages) + (SELECT count(*) FROM marks) AS forgotten
