-- Delete rows that were delivered long enough ago. Promise: at most $2 of them, among the ten times as many rows that follow $3 by id, and
-- none beyond $4: a call looks at a bounded number of rows, and of what purged rows leave in the index. Never waits for another relay that
-- purges too, nor for a disk.
-- $1 age in microseconds, $2 rows at most, $3 after this id, $4 up to this id
WITH seen AS MATERIALIZED (
    SELECT o.id, o.status, o.processed_at FROM outbox AS o WHERE o.id > $3 AND o.id <= $4 ORDER BY o.id LIMIT $2::int8 * 10
),
old AS MATERIALIZED (
    SELECT o.id
    FROM seen JOIN outbox AS o ON o.id = seen.id
    WHERE seen.status = 2 AND seen.processed_at < clock_timestamp() - $1::int8 * interval '1 microsecond'
    ORDER BY o.id
    LIMIT $2
    FOR UPDATE OF o SKIP LOCKED
),
-- What a crash brings back is purged again.
hasty AS MATERIALIZED (
    SELECT set_config('synchronous_commit', 'off', true) AS set
),
gone AS (
    DELETE FROM outbox AS o USING old WHERE o.id = old.id
)
SELECT (SELECT count(*) FROM old) AS deleted, (SELECT max(old.id) FROM old) AS last_deleted,
    (SELECT count(*) FROM seen) AS looked_at, (SELECT max(seen.id) FROM seen) AS last_seen,
    EXISTS (SELECT FROM seen WHERE seen.status = 2) AS any_done,
    pg_sequence_last_value(pg_get_serial_sequence('outbox', 'id')::regclass) AS last_id, (SELECT hasty.set FROM hasty) AS hasty
