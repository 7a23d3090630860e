-- Forget deliveries. Promise: exactly the events named, whoever delivered them; rows that are gone are skipped.
-- $1 ids, rising, $2 message ids
DELETE FROM outbox AS o
USING unnest($1::int8[], $2::uuid[]) AS w (id, message_id)
-- IS TRUE, so that rows are found by their id, which lie together, and not by the message id.
WHERE o.id = w.id AND (o.message_id = w.message_id) IS TRUE
