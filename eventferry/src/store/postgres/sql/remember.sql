-- Remember what a consumer handles. Promise: inserts nothing if it is remembered already, and does not fail.
-- $1 consumer, $2 message id
INSERT INTO outbox_inbox (consumer, message_id) VALUES ($1, $2) ON CONFLICT DO NOTHING
