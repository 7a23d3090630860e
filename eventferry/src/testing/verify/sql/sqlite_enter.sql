-- Number events of a transaction within their aggregates. Promise: the numbers of one aggregate follow the order of commits, without a gap,
-- because nobody else writes until the transaction ends.
-- ?1 JSON: [[aggregate, message id in hex], ..] in the order of the inserts
WITH entry AS MATERIALIZED (
    SELECT e.value ->> 0 AS aggregate, unhex(e.value ->> 1) AS message_id, row_number() OVER (PARTITION BY e.value ->> 0 ORDER BY e.key) AS k
    FROM json_each(?1) e
),
counter AS MATERIALIZED (
    SELECT a.aggregate, (SELECT coalesce(max(j.n), 0) FROM eventferry_verify_journal j WHERE j.aggregate = a.aggregate) AS n
    FROM (SELECT DISTINCT aggregate FROM entry) a
)
INSERT INTO eventferry_verify_journal (message_id, aggregate, n)
SELECT entry.message_id, entry.aggregate, counter.n + entry.k FROM entry JOIN counter ON counter.aggregate = entry.aggregate
