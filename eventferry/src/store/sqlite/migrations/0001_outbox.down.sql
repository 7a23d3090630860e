-- Migration 1, undone: everything goes. Run it in a transaction that stops at the first error.

-- Refuses while there is an event that was neither delivered nor discarded.
CREATE TEMP TABLE outbox_down (left_over INTEGER CONSTRAINT outbox_holds_undelivered_events CHECK (left_over = 0));
INSERT INTO outbox_down (left_over) SELECT count(*) FROM outbox WHERE status <> 2;
DROP TABLE outbox_down;

DROP VIEW outbox_readable;
DROP TABLE outbox_watermark;
DROP TABLE outbox_inbox;
DROP TABLE outbox_meta;
DROP TABLE outbox_relay;
DROP TABLE outbox_lane;
DROP TABLE outbox;
