-- Hand lanes back. Promise: only leases that are still this relay's.
-- $1 relay, $2 lanes, $3 their epochs
UPDATE outbox_lane AS l
SET owner = NULL, taken_at = NULL, leased_until = NULL
FROM unnest($2::int2[], $3::int8[]) AS w (lane, epoch)
WHERE l.lane = w.lane AND l.epoch = w.epoch AND l.owner = $1
