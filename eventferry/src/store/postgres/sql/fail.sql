-- Record verdicts. Promise: only while the lane is leased to this relay under this epoch, and until the statement ends nobody takes it;
-- only rows that wait; the attempt is counted and death decided in one statement.
-- $1 relay; one array for each column: $2 ids, $3 message ids, $4 lanes, $5 epochs, $6 kinds: 0 refused, 1 can never be delivered,
-- 2 is about to be sent alone (counted before), 3 that attempt is taken back, 4 refused in such an attempt,
-- $7 delays in microseconds, $8 attempts at which it dies (0: never), $9 whether a dead row holds its aggregate, $10 errors, $11 the attempts
-- the row had: where it has others, the verdict was written before and its answer was lost, so nothing changes
WITH guarded AS MATERIALIZED (
    -- Until the statement ends, nobody takes these lanes. The lock of a lane's row below finds its last version; alone it can be lost, where
    -- a renewal moves that row to another page meanwhile.
    SELECT count(pg_advisory_xact_lock_shared('outbox_lane'::regclass::oid::int4, w.lane)) AS lanes
    FROM (SELECT DISTINCT v.lane::int4 AS lane FROM unnest($4::int2[]) AS v (lane)) AS w
),
mine AS MATERIALIZED (
    SELECT v.id, v.message_id, v.lane, v.kind, v.delay, v.max_attempts, v.hold, v.error, v.attempts, v.place
    FROM unnest($2::int8[], $3::uuid[], $4::int2[], $5::int8[], $6::int2[], $7::int8[], $8::int8[], $9::bool[], $10::text[], $11::int4[])
        WITH ORDINALITY AS v (id, message_id, lane, epoch, kind, delay, max_attempts, hold, error, attempts, place)
    JOIN outbox_lane AS l ON l.lane = v.lane AND l.epoch = v.epoch AND l.owner = $1
    WHERE (SELECT guarded.lanes FROM guarded) > 0
    -- A renewal still passes.
    FOR KEY SHARE OF l
)
UPDATE outbox AS o
SET attempts = CASE
        WHEN m.kind <> 1 AND o.attempts <> m.attempts THEN o.attempts
        WHEN m.kind = 0 OR m.kind = 2 AND (m.max_attempts = 0 OR o.attempts < m.max_attempts) THEN o.attempts + 1
        WHEN m.kind = 3 THEN greatest(o.attempts - 1, 0)
        ELSE o.attempts
    END,
    status = CASE
        WHEN m.kind <> 1 AND o.attempts <> m.attempts THEN o.status
        WHEN m.kind = 3 OR m.kind = 2 AND (m.max_attempts = 0 OR o.attempts < m.max_attempts) THEN o.status
        WHEN m.kind = 0 AND (m.max_attempts = 0 OR o.attempts + 1 < m.max_attempts)
            OR m.kind = 4 AND (m.max_attempts = 0 OR o.attempts < m.max_attempts) THEN CASE WHEN o.ordered THEN 3 ELSE 1 END
        WHEN m.hold AND o.ordered THEN 5
        ELSE 4
    END,
    available_at = CASE WHEN m.kind IN (0, 4) AND o.attempts = m.attempts THEN clock_timestamp() + m.delay * interval '1 microsecond' ELSE o.available_at END,
    last_error = CASE WHEN m.error = '' OR m.kind <> 1 AND o.attempts <> m.attempts THEN o.last_error ELSE m.error END
FROM mine AS m
-- IS TRUE, so that rows are found by their id, which lie together, and not by the message id.
WHERE o.id = m.id AND (o.message_id = m.message_id) IS TRUE AND o.lane = m.lane AND o.status IN (0, 1, 3)
RETURNING m.place, o.status, o.attempts
