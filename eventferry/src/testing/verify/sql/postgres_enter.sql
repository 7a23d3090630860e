-- Number events of a transaction within their aggregates. Promise: the numbers of one aggregate follow the order of commits, without a gap,
-- because its counter stays locked until the transaction ends.
-- $1 aggregates, $2 message ids, in the order of the inserts
WITH entry AS (
    SELECT aggregate, message_id, row_number() OVER (PARTITION BY aggregate ORDER BY place) AS k, count(*) OVER (PARTITION BY aggregate) AS total
    FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS given (aggregate, message_id, place)
),
counter AS (
    INSERT INTO eventferry_verify_counter AS c (aggregate, n)
    SELECT aggregate, count(*) FROM entry GROUP BY aggregate ORDER BY aggregate
    ON CONFLICT (aggregate) DO UPDATE SET n = c.n + excluded.n
    RETURNING aggregate, n
)
INSERT INTO eventferry_verify_journal (message_id, aggregate, n)
SELECT e.message_id, e.aggregate, c.n - e.total + e.k FROM entry AS e JOIN counter AS c USING (aggregate)
