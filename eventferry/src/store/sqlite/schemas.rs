//! The schemas of events, beside their outbox.

use sqlx::{Row, SqlitePool};

use crate::event::TableName;
use crate::schema::{Fingerprint, Schema};
use crate::store::schemas::{check_found, check_schemas, row};
use crate::store::sqlite::error::error;
use crate::store::sqlite::{SQL, Sql};
use crate::store::{BoxFuture, SchemaTable, StoreError};

impl SchemaTable for SqlitePool {
    fn put_schemas<'a>(&'a self, table: &'a TableName, schemas: &'a [Schema]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            check_schemas(schemas)?;
            let rows: Vec<_> = schemas
                .iter()
                .map(|schema| {
                    [
                        schema.fingerprint().to_string(),
                        schema.kind.as_str().to_owned(),
                        schema.name.clone(),
                        row::message_index(schema),
                        row::references(schema),
                        schema.text.clone(),
                    ]
                })
                .collect();
            sqlx::query(SQL.get(table, Sql::new).put_schemas.clone())
                .bind(sqlx::types::Json(rows))
                .execute(self)
                .await
                .map(drop)
                .map_err(|source| error("write the schemas of events beside", table, source))
        })
    }

    fn find_schema<'a>(&'a self, table: &'a TableName, fingerprint: &'a Fingerprint) -> BoxFuture<'a, Result<Option<Schema>, StoreError>> {
        Box::pin(async move {
            let failed = |source| error("read a schema beside", table, source);
            let found = sqlx::query(SQL.get(table, Sql::new).find_schema.clone())
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
