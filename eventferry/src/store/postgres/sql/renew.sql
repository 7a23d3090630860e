-- A relay's heartbeat. Promise: leases that are still this relay's last a whole lease length from now; others are left alone.
-- $1 relay, $2 its lanes, $3 their epochs, $4 what it is doing
WITH lease AS MATERIALIZED (
    SELECT lease_ms * interval '1 millisecond' AS length FROM outbox_meta
),
alive AS (
    INSERT INTO outbox_relay AS r (id, host, doing) VALUES ($1, coalesce(inet_client_addr()::text, 'local'), $4)
    ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp(), doing = excluded.doing
),
kept AS (
    UPDATE outbox_lane AS l
    SET leased_until = clock_timestamp() + (SELECT lease.length FROM lease)
    FROM unnest($2::int2[], $3::int8[]) AS w (lane, epoch)
    WHERE l.lane = w.lane AND l.epoch = w.epoch AND l.owner = $1
    RETURNING l.lane, l.epoch
)
-- The first row counts the relays that share the lanes; this one was not there yet when the statement began, or was and is not counted twice.
SELECT NULL::int2 AS lane, NULL::int8 AS epoch,
    1 + (SELECT count(*) FROM outbox_relay AS r, lease
        WHERE r.id <> $1 AND r.doing IS DISTINCT FROM 'barred' AND r.seen_at > clock_timestamp() - lease.length AND r.seen_at <= clock_timestamp()) AS live,
    pg_sequence_last_value(pg_get_serial_sequence('outbox', 'id')::regclass) AS last_id,
    -- Which ids these are: on this outbox, this server, this timeline of it (a failover), this table of this database (a restore).
    m.id::text || '/' || (SELECT c.system_identifier FROM pg_control_system() AS c) || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
        || '/' || (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()) || '.' || 'outbox'::regclass::oid AS source
FROM outbox_meta AS m
UNION ALL
SELECT lane, epoch, NULL, NULL, NULL FROM kept
