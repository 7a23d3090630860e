-- Hand lanes back. Promise: only leases that are still this relay's.
-- ?1 relay, ?2 JSON: [[lane, epoch], ..]
UPDATE outbox_lane
SET owner = NULL, leased_until = NULL
WHERE owner = ?1 AND EXISTS (SELECT 1 FROM json_each(?2) held WHERE held.value ->> 0 = outbox_lane.lane AND held.value ->> 1 = outbox_lane.epoch)
