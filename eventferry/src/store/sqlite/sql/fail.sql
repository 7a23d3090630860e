-- Record verdicts. Promise: only under the lane's current lease, only rows that are pending, scheduled or failed; whether a row is dead
-- is decided by the statement that counts the attempt.
-- ?1 relay, ?2 JSON: [{id, message_id, lane, epoch, kind, delay, max_attempts, holds, error, attempts}, ..] with the kinds 0 refused, 1 can never be
-- delivered, 2 is about to be sent alone (counted before), 3 that attempt is taken back, 4 refused in such an attempt. Where the
-- row has other attempts than it had when it was read, the verdict was written before and its answer was lost: nothing changes.
UPDATE outbox
SET attempts = CASE
        WHEN v.kind <> 1 AND outbox.attempts <> v.attempts THEN outbox.attempts
        WHEN v.kind = 0 OR v.kind = 2 AND (v.max_attempts = 0 OR outbox.attempts < v.max_attempts) THEN outbox.attempts + 1
        WHEN v.kind = 3 THEN max(outbox.attempts - 1, 0)
        ELSE outbox.attempts
    END,
    available_at = iif(v.kind IN (0, 4) AND outbox.attempts = v.attempts, CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000 + v.delay, available_at),
    last_error = iif(v.error = '' OR (v.kind <> 1 AND outbox.attempts <> v.attempts), last_error, v.error),
    status = CASE
        WHEN v.kind <> 1 AND outbox.attempts <> v.attempts THEN status
        WHEN v.kind = 3 OR v.kind = 2 AND (v.max_attempts = 0 OR outbox.attempts < v.max_attempts) THEN status
        WHEN v.kind IN (1, 2) OR (v.max_attempts > 0 AND outbox.attempts + (v.kind = 0) >= v.max_attempts) THEN iif(v.holds AND ordered, 5, 4)
        WHEN ordered THEN 3
        ELSE 1
    END
FROM (
    SELECT
        w.value ->> 'id' AS id,
        unhex(w.value ->> 'message_id') AS message_id,
        w.value ->> 'lane' AS lane,
        w.value ->> 'epoch' AS epoch,
        w.value ->> 'kind' AS kind,
        w.value ->> 'delay' AS delay,
        w.value ->> 'max_attempts' AS max_attempts,
        w.value ->> 'holds' AS holds,
        w.value ->> 'error' AS error,
        w.value ->> 'attempts' AS attempts
    FROM json_each(?2) w
) v
JOIN outbox_lane l ON l.lane = v.lane AND l.epoch = v.epoch AND l.owner = ?1
WHERE outbox.id = v.id AND outbox.message_id = v.message_id AND outbox.lane = v.lane AND outbox.status IN (0, 1, 3)
RETURNING id, status, outbox.attempts AS attempts
