-- Migration 2, undone. Promise: refuses while a row that is not done names a schema, whatever is written at the same time.

LOCK TABLE outbox IN SHARE ROW EXCLUSIVE MODE;
DO $$
BEGIN
    IF EXISTS (SELECT 1 FROM outbox WHERE status <> 2 AND headers ->> 'event-schema' IS NOT NULL) THEN
        RAISE EXCEPTION 'refusing to remove outbox_schema: outbox holds events that name their schema and are not delivered'
            USING ERRCODE = 'dependent_objects_still_exist',
                  HINT = 'let a relay deliver them, and requeue or discard the dead ones';
    END IF;
END
$$;
DROP TABLE outbox_schema;
UPDATE outbox_meta SET version = 1;
