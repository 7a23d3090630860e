-- Register a relay, or say that it is alive.
-- ?1 relay, ?2 version, ?3 what it is doing
INSERT INTO outbox_relay (id, version, started_at, seen_at, doing)
VALUES (?1, ?2, CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000, CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000, ?3)
ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, doing = excluded.doing
