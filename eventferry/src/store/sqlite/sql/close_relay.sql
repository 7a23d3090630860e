-- Forget a relay.
-- ?1 relay
DELETE FROM outbox_relay WHERE id = ?1
