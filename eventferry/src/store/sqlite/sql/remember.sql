-- Remember that a consumer handles a message. Promise: no row changes if it is remembered already.
-- ?1 consumer, ?2 message id
INSERT INTO outbox_inbox (consumer, message_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING
