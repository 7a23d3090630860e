-- Where the row of a message id stands.
-- ?1 message id
SELECT status FROM outbox WHERE message_id = ?1
