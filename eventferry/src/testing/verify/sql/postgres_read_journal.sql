-- Everything that committed. Promise: by aggregate in the order of commits.
-- $1 whether the server keeps the times of commits
SELECT aggregate, message_id,
    (extract(epoch FROM coalesce(CASE WHEN $1 THEN pg_xact_commit_timestamp(xmin) END, written_at)) * 1000000)::int8 AS micros
FROM eventferry_verify_journal ORDER BY aggregate, n
