-- Delete rows that were delivered long enough ago. Promise: at most $2 of them, among the ten times as many rows that follow $3 by id, so
-- that a call looks at a bounded number of rows; never waits for another relay that purges too.
-- $1 age in microseconds, $2 rows at most, $3 after this id
WITH seen AS MATERIALIZED (
    SELECT o.id, o.status, o.processed_at FROM outbox AS o WHERE o.id > $3 ORDER BY o.id LIMIT $2::int8 * 10
),
old AS MATERIALIZED (
    SELECT o.id
    FROM seen JOIN outbox AS o ON o.id = seen.id
    WHERE seen.status = 2 AND seen.processed_at < clock_timestamp() - $1::int8 * interval '1 microsecond'
    ORDER BY o.id
    LIMIT $2
    FOR UPDATE OF o SKIP LOCKED
),
gone AS (
    DELETE FROM outbox AS o USING old WHERE o.id = old.id
)
SELECT (SELECT count(*) FROM old) AS deleted, (SELECT max(old.id) FROM old) AS last_deleted,
    (SELECT count(*) FROM seen) AS looked_at, (SELECT max(seen.id) FROM seen) AS last_seen,
    EXISTS (SELECT FROM seen WHERE seen.status = 2) AS any_done
