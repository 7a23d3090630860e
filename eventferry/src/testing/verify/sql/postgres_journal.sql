-- What the transactions of a verification write beside their events. Promise: nothing of what is there already changes.
CREATE TABLE IF NOT EXISTS eventferry_verify_counter (
    aggregate text PRIMARY KEY,
    n bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS eventferry_verify_journal (
    message_id uuid PRIMARY KEY,
    aggregate text NOT NULL,
    n bigint NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (aggregate, n)
);
