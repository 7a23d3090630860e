-- What a relay must know of an outbox before it carries anything. Promise: changes nothing.
SELECT m.version, m.lease_ms, pg_is_in_recovery() AS standby,
    (SELECT count(*) FROM outbox_lane) AS lanes,
    s.seqrelid::regclass::text AS sequence, s.seqcache AS cache, s.seqincrement AS increment, s.seqcycle AS cycle,
    current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
    current_setting('synchronous_commit') AS synchronous_commit,
    m.id::text AS identity
FROM outbox_meta AS m
LEFT JOIN pg_sequence AS s ON s.seqrelid = pg_get_serial_sequence('outbox', 'id')::regclass
