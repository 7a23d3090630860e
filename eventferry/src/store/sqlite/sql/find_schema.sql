-- A schema by its fingerprint. Promise: changes nothing.
-- ?1 fingerprint
SELECT kind, name, message_index, refs, text FROM outbox_schema WHERE fingerprint = ?1
