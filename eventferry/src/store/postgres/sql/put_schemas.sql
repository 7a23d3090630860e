-- Write schemas. Promise: what is there already stays as it is; in one order, so that two services that start together do not deadlock.
-- $1 fingerprints, $2 kinds, $3 names, $4 places in their files, $5 references, $6 texts
INSERT INTO outbox_schema (fingerprint, kind, name, message_index, refs, text)
SELECT fingerprint, kind, name, message_index, refs::json, text
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) AS s (fingerprint, kind, name, message_index, refs, text)
ORDER BY fingerprint
ON CONFLICT (fingerprint) DO NOTHING
