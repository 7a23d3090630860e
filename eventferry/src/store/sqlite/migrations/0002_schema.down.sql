-- Migration 2, undone. Run it in a transaction that stops at the first error.

-- Refuses while an event that was neither delivered nor discarded names a schema.
CREATE TEMP TABLE outbox_down (left_over INTEGER CONSTRAINT outbox_holds_undelivered_events CHECK (left_over = 0));
INSERT INTO outbox_down (left_over) SELECT count(*) FROM outbox WHERE status <> 2 AND headers ->> '$."event-schema"' IS NOT NULL;
DROP TABLE outbox_down;

DROP TABLE outbox_schema;
UPDATE outbox_meta SET version = 1;
