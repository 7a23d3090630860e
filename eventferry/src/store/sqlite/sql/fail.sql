-- Record verdicts. Promise: only under the lane's current lease, only rows that are pending, scheduled or failed; whether a row is dead
-- is decided by the statement that counts the attempt.
-- ?1 relay, ?2 JSON: [{id, message_id, lane, epoch, counts, delay, max_attempts, holds, error}, ..]
UPDATE outbox
SET attempts = attempts + v.counts,
    available_at = iif(v.counts, CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000 + v.delay, available_at),
    last_error = v.error,
    status = CASE
        WHEN v.counts = 0 OR (v.max_attempts > 0 AND attempts + 1 >= v.max_attempts) THEN iif(v.holds AND ordered, 5, 4)
        WHEN ordered THEN 3
        ELSE 1
    END
FROM (
    SELECT
        w.value ->> 'id' AS id,
        unhex(w.value ->> 'message_id') AS message_id,
        w.value ->> 'lane' AS lane,
        w.value ->> 'epoch' AS epoch,
        w.value ->> 'counts' AS counts,
        w.value ->> 'delay' AS delay,
        w.value ->> 'max_attempts' AS max_attempts,
        w.value ->> 'holds' AS holds,
        w.value ->> 'error' AS error
    FROM json_each(?2) w
) v
JOIN outbox_lane l ON l.lane = v.lane AND l.epoch = v.epoch AND l.owner = ?1
WHERE outbox.id = v.id AND outbox.message_id = v.message_id AND outbox.lane = v.lane AND outbox.status IN (0, 1, 3)
RETURNING id, status, attempts
