-- Set the count of deaths of lanes back. Promise: only under leases that are still this relay's.
-- $1 relay, $2 lanes, $3 their epochs
UPDATE outbox_lane AS l
SET deaths = 0
FROM unnest($2::int2[], $3::int8[]) AS w (lane, epoch)
WHERE l.lane = w.lane AND l.epoch = w.epoch AND l.owner = $1
