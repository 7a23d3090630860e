-- Whether there is an outbox at all. Promise: no error where there is none.
SELECT to_regclass('outbox_meta') IS NOT NULL AS found
