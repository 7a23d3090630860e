-- Which version of the schema is there. Promise: changes nothing.
SELECT version FROM outbox_meta
