-- Lease free or expired lanes. Promise: a lane is in one live lease; never waits for anybody.
-- $1 relay, $2 lanes at most
WITH lease AS MATERIALIZED (
    SELECT lease_ms * interval '1 millisecond' AS length FROM outbox_meta
),
free AS MATERIALIZED (
    SELECT l.lane
    FROM outbox_lane AS l
    -- The clock is asked for each row anew, so that a lease somebody else has just taken is not seen as one from the future.
    WHERE l.owner IS NULL OR l.leased_until IS NULL OR l.leased_until <= clock_timestamp()
        OR l.leased_until > clock_timestamp() + (SELECT lease.length FROM lease)
    ORDER BY l.lane
    LIMIT $2
    FOR UPDATE OF l SKIP LOCKED
),
quiet AS MATERIALIZED (
    -- A lane in which a verdict is being written is left for the next time.
    SELECT free.lane FROM free WHERE pg_try_advisory_xact_lock('outbox_lane'::regclass::oid::int4, free.lane)
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
WHERE l.lane = quiet.lane
RETURNING l.lane, l.epoch, l.deaths
