-- Lease whole groups of adjacent lanes. Promise: every lane of a group or none; each in one live lease; never waits for anybody.
-- $1 relay, $2 groups, $3 lanes of a group, $4 groups at most
WITH lease AS MATERIALIZED (
    SELECT lease_ms * interval '1 millisecond' AS length FROM outbox_meta
),
free AS MATERIALIZED (
    SELECT l.lane
    FROM outbox_lane AS l
    -- As in take.sql. A lane that somebody is about to take, or to judge under, is skipped, and its group with it.
    WHERE l.lane / $3 = ANY ($2::int2[]) AND (l.owner IS NULL OR l.leased_until IS NULL OR l.leased_until <= clock_timestamp()
        OR l.leased_until > clock_timestamp() + (SELECT lease.length FROM lease))
    ORDER BY l.lane
    FOR UPDATE OF l SKIP LOCKED
),
quiet AS MATERIALIZED (
    SELECT free.lane FROM free WHERE pg_try_advisory_xact_lock('outbox_lane'::regclass::oid::int4, free.lane)
),
whole AS MATERIALIZED (
    SELECT quiet.lane / $3 AS number FROM quiet GROUP BY quiet.lane / $3 HAVING count(*) = $3 ORDER BY 1 LIMIT $4
)
UPDATE outbox_lane AS l
SET owner = $1,
    epoch = l.epoch + 1,
    taken_at = clock_timestamp(),
    leased_until = clock_timestamp() + (SELECT lease.length FROM lease),
    -- An owner that was heard of after its lease was over has not died: the database was away from both. Nor has one whose lease ends only
    -- later: the clock was put back.
    deaths = l.deaths + CASE WHEN l.owner <> $1 AND l.leased_until <= clock_timestamp() AND NOT EXISTS (
        SELECT FROM outbox_relay AS r WHERE r.id = l.owner AND r.seen_at >= l.leased_until AND r.seen_at <= clock_timestamp()
    ) THEN 1 ELSE 0 END
FROM quiet
WHERE l.lane = quiet.lane AND quiet.lane / $3 IN (SELECT whole.number FROM whole)
RETURNING l.lane, l.epoch, l.deaths
