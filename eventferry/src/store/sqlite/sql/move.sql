-- Move rows for an operator. Promise: only from the statuses given, to where each of them leads; who and when stay in the row's headers.
-- ?1 JSON: [message id in hex, ..], ?2 JSON: [{from, to, trace}, ..], ?3 who, ?4 whether it begins anew
UPDATE outbox
SET status = step.leads_to,
    -- Whoever waits by itself has no place in the order.
    ordered = ordered AND step.leads_to <> 1,
    attempts = iif(?4, 0, attempts),
    -- What waits is due, so that the owner meets it at once.
    available_at = iif(step.leads_to IN (1, 3), CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000, available_at),
    processed_at = iif(step.leads_to = 2, CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000, processed_at),
    headers = json_set(
        json_remove(iif(?4, json_remove(headers, '$."operator-discard-asked"'), headers), step.trace_path),
        step.trace_path, strftime('%Y-%m-%dT%H:%M:%fZ', 'now') || ' ' || ?3
    )
FROM (
    SELECT w.value ->> 'from' AS leaves, w.value ->> 'to' AS leads_to, '$."' || (w.value ->> 'trace') || '"' AS trace_path
    FROM json_each(?2) w
) step
WHERE outbox.message_id IN (SELECT unhex(i.value) FROM json_each(?1) i) AND outbox.status = step.leaves
RETURNING message_id, status
