-- Read a payload that was too large to wait in memory. Promise: the payload of this event and no other.
-- $1 id, $2 message id
SELECT payload FROM outbox WHERE id = $1 AND message_id = $2
