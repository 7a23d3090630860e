-- Read rows whose time has come, by lane, time and id. Promise: by the database's clock, a page that goes on where the last one ended.
-- An ordered row only says that its aggregate is due: it comes without its payload.
-- $1 lanes, $2 and $3 the time (microseconds since 1970, null before every row) and id after which each goes on, $4 rows of each at most
SELECT f.*
FROM unnest($1::int2[], $2::int8[], $3::int8[]) AS w (lane, after, after_id)
CROSS JOIN LATERAL (
    SELECT o.id, o.message_id, o.order_key, o.ordered, o.status, o.attempts,
        CASE WHEN o.status = 3 THEN o.available_at - statement_timestamp() END AS due_in, o.partition, o.event_version, o.created_at,
        o.aggregate_type, o.aggregate_id, o.topic, o.key, o.event_type, o.content_type, o.headers,
        CASE WHEN NOT o.ordered AND octet_length(o.payload) <= 65536 THEN o.payload END AS payload,
        CASE WHEN o.ordered OR octet_length(o.payload) > 65536 THEN octet_length(o.payload) END AS deferred_bytes,
        o.available_at
    FROM outbox AS o
    WHERE o.lane = w.lane AND o.status IN (1, 3) AND o.available_at <= statement_timestamp()
        AND (o.available_at, o.id) > (coalesce('epoch'::timestamptz + w.after * interval '1 microsecond', '-infinity'), w.after_id)
    ORDER BY o.lane, o.available_at, o.id
    LIMIT $4
) AS f
ORDER BY w.lane, f.available_at, f.id
