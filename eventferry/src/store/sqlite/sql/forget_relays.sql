-- Forget relays that were not heard of for a day: killed ones cannot say goodbye.
DELETE FROM outbox_relay WHERE seen_at < CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000 - 86400000000
