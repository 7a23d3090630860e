-- Rows that wait under a lease of this relay, and that no operator asks to discard.
-- ?1 relay, ?2 JSON: [{id, message_id, lane, epoch}, ..]
SELECT o.id, o.attempts
FROM json_each(?2) w
JOIN outbox_lane l ON l.lane = w.value ->> 'lane' AND l.epoch = w.value ->> 'epoch' AND l.owner = ?1
JOIN outbox o ON o.id = w.value ->> 'id' AND o.message_id = unhex(w.value ->> 'message_id') AND o.lane = l.lane
WHERE o.status IN (0, 1, 3) AND o.headers ->> '$."operator-discard-asked"' IS NULL
