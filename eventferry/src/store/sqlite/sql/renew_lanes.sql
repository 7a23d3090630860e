-- Renew leases. Promise: only leases that are still this relay's, for a whole lease length from now.
-- ?1 relay, ?2 JSON: [[lane, epoch], ..]
UPDATE outbox_lane
SET leased_until = CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000 + (SELECT m.lease_micros FROM outbox_meta m)
WHERE owner = ?1 AND EXISTS (SELECT 1 FROM json_each(?2) held WHERE held.value ->> 0 = outbox_lane.lane AND held.value ->> 1 = outbox_lane.epoch)
RETURNING lane, epoch
