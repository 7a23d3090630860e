//! The schemas of events, beside their outbox.

use sqlx::{PgPool, Row};

use crate::event::TableName;
use crate::schema::{Fingerprint, Schema};
use crate::store::postgres::error::store_error;
use crate::store::postgres::statements_of;
use crate::store::schemas::{check_found, check_schemas, row};
use crate::store::{BoxFuture, SchemaTable, StoreError};

impl SchemaTable for PgPool {
    fn put_schemas<'a>(&'a self, table: &'a TableName, schemas: &'a [Schema]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            check_schemas(schemas)?;
            let texts = |of: fn(&Schema) -> String| schemas.iter().map(of).collect::<Vec<_>>();
            sqlx::query(statements_of(table).put_schemas.clone())
                .bind(texts(|schema| schema.fingerprint().to_string()))
                .bind(texts(|schema| schema.kind.as_str().to_owned()))
                .bind(texts(|schema| schema.name.clone()))
                .bind(texts(row::message_index))
                .bind(texts(row::references))
                .bind(texts(|schema| schema.text.clone()))
                .execute(self)
                .await
                .map(drop)
                .map_err(|error| store_error("write the schemas of events beside the outbox", table, &error))
        })
    }

    fn find_schema<'a>(&'a self, table: &'a TableName, fingerprint: &'a Fingerprint) -> BoxFuture<'a, Result<Option<Schema>, StoreError>> {
        Box::pin(async move {
            let failed = |error| store_error("read a schema beside the outbox", table, &error);
            let found = sqlx::query(statements_of(table).find_schema.clone())
                .bind(fingerprint.as_str())
                .fetch_optional(self)
                .await
                .map_err(failed)?;
            let Some(found) = found else { return Ok(None) };
            let text = |column: usize| found.try_get::<String, _>(column).map_err(failed);
            let schema = row::schema(&text(0)?, text(1)?, &text(2)?, &text(3)?, text(4)?);
            check_found(table, fingerprint, schema).map(Some)
        })
    }
}
