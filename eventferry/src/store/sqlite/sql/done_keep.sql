-- Record deliveries. Promise: only rows of that id and message id; the time is that of the first ack.
-- ?1 JSON: [[id, message id in hex], ..]
UPDATE outbox
SET status = 2, processed_at = CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000
WHERE status <> 2 AND id IN (
    SELECT o.id FROM json_each(?1) w CROSS JOIN outbox o ON o.id = w.value ->> 0 AND o.message_id = unhex(w.value ->> 1)
)
