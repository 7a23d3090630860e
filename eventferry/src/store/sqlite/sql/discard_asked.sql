-- Settle waiting rows that an operator asked to discard. Promise: as for every verdict, only under the lane's current lease; only rows that
-- wait and are still asked for.
-- ?1 relay, ?2 JSON: [{id, message_id, lane, epoch}, ..]
UPDATE outbox
SET status = 2,
    processed_at = CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000,
    -- Whoever asked for it has discarded it.
    headers = json_set(headers, '$."operator-discarded"', headers ->> '$."operator-discard-asked"')
FROM (
    SELECT
        w.value ->> 'id' AS id,
        unhex(w.value ->> 'message_id') AS message_id,
        w.value ->> 'lane' AS lane,
        w.value ->> 'epoch' AS epoch
    FROM json_each(?2) w
) v
JOIN outbox_lane l ON l.lane = v.lane AND l.epoch = v.epoch AND l.owner = ?1
WHERE outbox.id = v.id AND outbox.message_id = v.message_id AND outbox.lane = v.lane AND outbox.status IN (1, 3)
    AND headers ->> '$."operator-discard-asked"' IS NOT NULL
RETURNING id
