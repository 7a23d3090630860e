-- Where the rows of message ids stand; those that are gone are not answered.
-- ?1 JSON: [message id in hex, ..]
SELECT o.message_id, o.status FROM json_each(?1) i CROSS JOIN outbox o ON o.message_id = unhex(i.value)
