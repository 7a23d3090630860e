-- Where rows stand. Promise: one line for each row asked for; null where it is gone.
-- ?1 JSON: [[id, message id in hex], ..]
SELECT o.status
FROM json_each(?1) w
LEFT JOIN outbox o ON o.id = w.value ->> 0 AND o.message_id = unhex(w.value ->> 1)
ORDER BY w.key
