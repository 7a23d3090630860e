-- Settle waiting rows that an operator asked to discard. Promise: as for every verdict, only while the lane is leased to this relay under this
-- epoch; only rows that wait and are still asked for. Answers each verdict whose lease is good, and whether its row was settled.
-- $1 relay; one array for each column: $2 ids, $3 message ids, $4 lanes, $5 epochs
WITH guarded AS MATERIALIZED (
    -- Until the statement ends, nobody takes these lanes. The lock of a lane's row below finds its last version; alone it can be lost, where
    -- a renewal moves that row to another page meanwhile.
    SELECT count(pg_advisory_xact_lock_shared('outbox_lane'::regclass::oid::int4, w.lane)) AS lanes
    FROM (SELECT DISTINCT v.lane::int4 AS lane FROM unnest($4::int2[]) AS v (lane)) AS w
),
mine AS MATERIALIZED (
    SELECT v.id, v.message_id, v.lane, v.place
    FROM unnest($2::int8[], $3::uuid[], $4::int2[], $5::int8[]) WITH ORDINALITY AS v (id, message_id, lane, epoch, place)
    JOIN outbox_lane AS l ON l.lane = v.lane AND l.epoch = v.epoch AND l.owner = $1
    WHERE (SELECT guarded.lanes FROM guarded) > 0
    -- A renewal still passes.
    FOR KEY SHARE OF l
),
settled AS (
    UPDATE outbox AS o
    SET status = 2, processed_at = clock_timestamp(),
        -- Whoever asked for it has discarded it.
        headers = (
            SELECT json_object_agg(h.key, h.value ORDER BY h.place)
            FROM (
                SELECT e.key, e.value, e.place FROM json_each(o.headers) WITH ORDINALITY AS e (key, value, place) WHERE e.key <> 'operator-discarded'
                UNION ALL
                SELECT 'operator-discarded', o.headers -> 'operator-discard-asked', 9223372036854775807
            ) AS h
        )
    FROM mine AS m
    -- IS TRUE, so that rows are found by their id, which lie together, and not by the message id.
    WHERE o.id = m.id AND (o.message_id = m.message_id) IS TRUE AND o.lane = m.lane AND o.status IN (1, 3)
        AND (o.headers -> 'operator-discard-asked') IS NOT NULL
    RETURNING m.place
)
SELECT m.place, settled.place IS NOT NULL AS settled,
    -- Null where the row does not wait at all.
    (SELECT o.attempts FROM outbox AS o WHERE o.id = m.id AND (o.message_id = m.message_id) IS TRUE AND o.lane = m.lane AND o.status IN (0, 1, 3)) AS attempts
FROM mine AS m
LEFT JOIN settled ON settled.place = m.place
