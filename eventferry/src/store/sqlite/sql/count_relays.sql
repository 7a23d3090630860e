-- How many relays share the lanes: this one, and the others that were heard of less than one lease length ago, not in the future, and are not barred.
-- ?1 relay
SELECT 1 + count(*) AS live
FROM outbox_relay r, outbox_meta m, (SELECT CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000 AS now) t
WHERE r.id <> ?1 AND r.doing IS NOT 'barred' AND r.seen_at <= t.now AND r.seen_at > t.now - m.lease_micros
