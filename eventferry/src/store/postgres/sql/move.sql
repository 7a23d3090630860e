-- Move rows for an operator. Promise: only from the statuses given, to where each of them leads; waits for nobody, so a row that somebody else is
-- writing is left out; who and when stay in the row's headers.
-- $1 message ids; one element for each status the move begins from: $2 statuses, $3 where each leads, $4 the header of the trace; $5 who,
-- $6 whether it begins anew
WITH free AS MATERIALIZED (
    SELECT o.id, step.leads_to, step.trace
    FROM outbox AS o
    JOIN unnest($2::int2[], $3::int2[], $4::text[]) AS step (status, leads_to, trace) ON step.status = o.status
    WHERE o.message_id = ANY ($1::uuid[])
    ORDER BY o.id
    FOR UPDATE OF o SKIP LOCKED
)
UPDATE outbox AS o
SET status = free.leads_to,
    -- Whoever waits by itself has no place in the order.
    ordered = o.ordered AND free.leads_to <> 1,
    attempts = CASE WHEN $6 THEN 0 ELSE o.attempts END,
    -- What waits is due, so that the owner meets it at once.
    available_at = CASE WHEN free.leads_to IN (1, 3) THEN clock_timestamp() ELSE o.available_at END,
    processed_at = CASE WHEN free.leads_to = 2 THEN clock_timestamp() ELSE o.processed_at END,
    headers = (
        SELECT json_object_agg(h.key, h.value ORDER BY h.place)
        FROM (
            SELECT e.key, e.value, e.place
            FROM json_each(o.headers) WITH ORDINALITY AS e (key, value, place)
            WHERE e.key <> free.trace AND NOT ($6 AND e.key = 'operator-discard-asked')
            UNION ALL
            SELECT free.trace, to_json(to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || ' ' || $5::text),
                9223372036854775807
        ) AS h
    )
FROM free
WHERE o.id = free.id
RETURNING o.message_id, o.status
