-- Delete rows that were delivered long enough ago. Promise: at most $2 of them, found among the lowest ids, so that a call with nothing
-- to do looks at a bounded number of rows.
-- $1 age in microseconds, $2 rows at most
DELETE FROM outbox
WHERE id IN (
    SELECT old.id
    FROM (SELECT id, processed_at FROM outbox WHERE status = 2 ORDER BY id LIMIT $2::int8 * 10) AS old
    WHERE old.processed_at <= clock_timestamp() - $1::int8 * interval '1 microsecond'
    LIMIT $2
)
