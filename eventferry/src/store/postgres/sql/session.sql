-- Prepare a session of a relay. Promise: nobody's lock can stop it for longer than a third of a lease, nor can it stop others;
-- a row security policy is an error and not an empty table.
SELECT m.lease_ms,
    -- Acks wait behind nobody: what is locked is skipped and tried again.
    set_config('lock_timeout',
        (CASE WHEN current_setting('application_name') = 'eventferry ack' THEN least(250, m.lease_ms / 6) ELSE m.lease_ms / 3 END)::text, false),
    set_config('statement_timeout', (m.lease_ms / 3)::text, false),
    set_config('idle_in_transaction_session_timeout', (m.lease_ms / 3)::text, false),
    -- A lease need not outlive a failover, and must not wait for a standby that does not answer: then no lane would be held by anybody.
    set_config('synchronous_commit',
        CASE WHEN current_setting('application_name') = 'eventferry lease' AND current_setting('synchronous_commit') <> 'off' THEN 'local'
            ELSE current_setting('synchronous_commit') END, false),
    set_config('row_security', 'off', false),
    -- Whatever the role's default is: a frozen snapshot would turn every takeover into an error.
    set_config('default_transaction_isolation', 'read committed', false),
    -- Plans must not flip with the statistics of a table that is empty one minute and full the next.
    set_config('jit', 'off', false),
    set_config('enable_seqscan', 'off', false),
    set_config('plan_cache_mode', 'force_generic_plan', false)
FROM outbox_meta AS m
