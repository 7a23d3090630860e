-- Waits for other migrations of this table. Promise: one at a time, until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('eventferry: migrate outbox', 0))
