-- Forget a relay, and those not heard of for a day. Promise: leases are left alone.
-- $1 relay
DELETE FROM outbox_relay WHERE id = $1 OR seen_at < clock_timestamp() - interval '1 day'
