-- Everything that committed. Promise: by aggregate in the order of commits.
SELECT aggregate, message_id, written_at FROM eventferry_verify_journal ORDER BY aggregate, n
