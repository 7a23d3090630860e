-- Where rows stand, in the order given; null where a row is gone. Promise: an id that came back with another event is gone.
-- $1 ids, $2 message ids
-- IS TRUE, so that rows are found by their id, which lie together, and not by the message id.
SELECT (SELECT o.status FROM outbox AS o WHERE o.id = w.id AND (o.message_id = w.message_id) IS TRUE) AS status
FROM unnest($1::int8[], $2::uuid[]) WITH ORDINALITY AS w (id, message_id, place)
ORDER BY w.place
