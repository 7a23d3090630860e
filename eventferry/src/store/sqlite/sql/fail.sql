-- Record verdicts. Promise: only under the lane's current lease, only rows that are pending, scheduled or failed; whether a row is dead
-- is decided by the statement that counts the attempt.
-- ?1 relay, ?2 JSON: [{id, message_id, lane, epoch, kind, delay, max_attempts, holds, error}, ..] with the kinds 0 refused, 1 can never be
-- delivered, 2 is about to be sent alone (counted before), 3 that attempt is taken back, 4 refused in such an attempt
UPDATE outbox
SET attempts = CASE v.kind
        WHEN 0 THEN attempts + 1
        WHEN 2 THEN attempts + (v.max_attempts = 0 OR attempts < v.max_attempts)
        WHEN 3 THEN max(attempts - 1, 0)
        ELSE attempts
    END,
    available_at = iif(v.kind IN (0, 4), CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000 + v.delay, available_at),
    last_error = v.error,
    status = CASE
        WHEN v.kind = 3 OR v.kind = 2 AND (v.max_attempts = 0 OR attempts < v.max_attempts) THEN status
        WHEN v.kind IN (1, 2) OR (v.max_attempts > 0 AND attempts + (v.kind = 0) >= v.max_attempts) THEN iif(v.holds AND ordered, 5, 4)
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
        w.value ->> 'error' AS error
    FROM json_each(?2) w
) v
JOIN outbox_lane l ON l.lane = v.lane AND l.epoch = v.epoch AND l.owner = ?1
WHERE outbox.id = v.id AND outbox.message_id = v.message_id AND outbox.lane = v.lane AND outbox.status IN (0, 1, 3)
RETURNING id, status, attempts
