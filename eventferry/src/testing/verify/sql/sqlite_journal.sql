-- What the transactions of a verification write beside their events. Promise: nothing of what is there already changes.
CREATE TABLE IF NOT EXISTS eventferry_verify_journal (
    message_id BLOB PRIMARY KEY,
    aggregate  TEXT NOT NULL,
    n          INTEGER NOT NULL,
    written_at INTEGER NOT NULL DEFAULT (CAST(round(unixepoch('subsec') * 1000) AS INTEGER) * 1000),
    UNIQUE (aggregate, n)
) STRICT;
