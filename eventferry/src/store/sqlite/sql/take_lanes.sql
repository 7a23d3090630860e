-- Lease lanes that nobody holds, or whose lease is over. Promise: a lane is in one live lease, and each lease has a higher epoch.
-- A lease that ends more than a lease length from now was written by a clock that has been put back: it is over too.
-- ?1 relay, ?2 limit
UPDATE outbox_lane
SET owner = ?1,
    epoch = epoch + 1,
    leased_until = t.now + t.lease,
    -- An owner that was heard of after its lease was over has not died, nor has one whose lease ends only later: the clock was put back.
    deaths = deaths + (owner IS NOT NULL AND owner <> ?1 AND leased_until <= t.now AND NOT EXISTS (
        SELECT 1 FROM outbox_relay r WHERE r.id = outbox_lane.owner AND r.seen_at >= outbox_lane.leased_until AND r.seen_at <= t.now
    ))
FROM (SELECT CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000 AS now, m.lease_micros AS lease FROM outbox_meta m) t
WHERE outbox_lane.lane IN (
    SELECT l.lane
    FROM outbox_lane l
    WHERE l.owner IS NULL OR l.leased_until IS NULL OR NOT (l.leased_until > t.now AND l.leased_until <= t.now + t.lease)
    ORDER BY l.lane
    LIMIT ?2
)
RETURNING lane, epoch, deaths
