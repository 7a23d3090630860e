-- How many relays were heard of less than one lease length ago, and not in the future.
SELECT count(*) AS live
FROM outbox_relay r, outbox_meta m, (SELECT CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000 AS now) t
WHERE r.seen_at <= t.now AND r.seen_at > t.now - m.lease_micros
