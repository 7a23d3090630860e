-- Register a relay. Promise: it counts as alive from now on.
-- $1 relay, $2 its version
INSERT INTO outbox_relay AS r (id, host, version) VALUES ($1, coalesce(inet_client_addr()::text, 'local'), $2)
ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp(), version = excluded.version
