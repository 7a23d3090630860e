-- The version of the outbox's schema.
SELECT version FROM outbox_meta
