-- Read the payload of one row. Promise: an id that came back with another event is another row.
-- ?1 id, ?2 message id
SELECT payload FROM outbox WHERE id = ?1 AND message_id = ?2
