-- Write schemas. Promise: what is there already stays as it is.
-- ?1 an array of schemas, each an array of fingerprint, kind, name, place in its file, references and text
INSERT INTO outbox_schema (fingerprint, kind, name, message_index, refs, text)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5
FROM json_each(?1)
WHERE true
ON CONFLICT (fingerprint) DO NOTHING
