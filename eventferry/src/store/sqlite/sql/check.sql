-- What a relay must know before it starts: settings, and whether the outbox is whole.
SELECT
    m.version,
    m.lease_micros,
    m.uuid,
    (SELECT count(*) FROM outbox_lane) AS lanes,
    EXISTS (
        SELECT 1 FROM sqlite_schema s WHERE s.type = 'table' AND s.name = 'outbox' AND s.sql LIKE '%AUTOINCREMENT%'
    ) AS ids_stay_used,
    (SELECT journal_mode FROM pragma_journal_mode) AS journal_mode,
    (SELECT synchronous FROM pragma_synchronous) AS synchronous,
    (SELECT timeout FROM pragma_busy_timeout) AS busy_timeout
FROM outbox_meta m
