-- Where the rows of message ids stand; those that are gone are not answered.
-- $1 message ids
SELECT o.message_id, o.status FROM outbox AS o WHERE o.message_id = ANY ($1::uuid[])
