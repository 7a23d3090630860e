-- Delete what was delivered. Promise: only rows of that id and message id.
-- ?1 JSON: [[id, message id in hex], ..]
DELETE FROM outbox
WHERE id IN (
    SELECT o.id FROM json_each(?1) w CROSS JOIN outbox o ON o.id = w.value ->> 0 AND o.message_id = unhex(w.value ->> 1)
)
