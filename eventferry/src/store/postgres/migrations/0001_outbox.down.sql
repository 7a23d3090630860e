-- Takes the outbox away. Promise: refuses while any row is not done, whatever is written at the same time.

LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE;
DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM outbox WHERE status <> 2) THEN
        RAISE EXCEPTION 'refusing to remove outbox: it holds events that are not delivered'
            USING ERRCODE = 'dependent_objects_still_exist',
                  HINT = 'let a relay deliver them, and requeue or discard the dead ones';
    END IF;
END
$$;
DROP VIEW outbox_readable;
DROP TABLE outbox_watermark, outbox_inbox, outbox_meta, outbox_relay, outbox_lane, outbox;
DROP FUNCTION outbox_refuse_truncate();
DROP FUNCTION outbox_json(bytea);
DROP FUNCTION outbox_enqueue(text, text, text, text, bytea, integer, text, json, text, uuid);
DROP FUNCTION outbox_lock(text, text);
DROP FUNCTION outbox_lock(bigint);
DROP FUNCTION outbox_order_key(text, text);
