-- Lease whole groups of adjacent lanes. Promise: every lane of a group or none; each lease has a higher epoch. As in take_lanes.sql.
-- ?1 relay, ?2 JSON: [group, ..], ?3 lanes of a group, ?4 groups at most
UPDATE outbox_lane
SET owner = ?1,
    epoch = epoch + 1,
    leased_until = t.now + t.lease,
    -- An owner that was heard of after its lease was over has not died, nor has one whose lease ends only later: the clock was put back.
    deaths = deaths + (owner IS NOT NULL AND owner <> ?1 AND leased_until <= t.now AND NOT EXISTS (
        SELECT 1 FROM outbox_relay r WHERE r.id = outbox_lane.owner AND r.seen_at >= outbox_lane.leased_until AND r.seen_at <= t.now
    ))
FROM (SELECT CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000 AS now, m.lease_micros AS lease FROM outbox_meta m) t
WHERE outbox_lane.lane / ?3 IN (
    SELECT l.lane / ?3
    FROM outbox_lane l
    WHERE l.lane / ?3 IN (SELECT wanted.value FROM json_each(?2) wanted)
        AND (l.owner IS NULL OR l.leased_until IS NULL OR NOT (l.leased_until > t.now AND l.leased_until <= t.now + t.lease))
    GROUP BY l.lane / ?3
    HAVING count(*) = ?3
    ORDER BY 1
    LIMIT ?4
)
RETURNING lane, epoch, deaths
