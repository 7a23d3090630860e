-- Which rows somebody has locked. Promise: waits for nobody, and changes nothing.
-- $1 ids, rising, $2 message ids
WITH free AS MATERIALIZED (
    SELECT o.id
    FROM unnest($1::int8[], $2::uuid[]) AS w (id, message_id)
    -- IS TRUE, so that rows are found by their id, which lie together, and not by the message id.
    JOIN outbox AS o ON o.id = w.id AND (o.message_id = w.message_id) IS TRUE
    FOR NO KEY UPDATE OF o SKIP LOCKED
)
SELECT w.id, w.message_id
FROM unnest($1::int8[], $2::uuid[]) AS w (id, message_id)
WHERE EXISTS (SELECT FROM outbox AS o WHERE o.id = w.id AND (o.message_id = w.message_id) IS TRUE)
    AND w.id NOT IN (SELECT free.id FROM free)
