//! A consumer's memory of what it has handled.

use sqlx::{Sqlite, Transaction};
use uuid::Uuid;

use crate::event::{MessageId, TableName};
use crate::store::sqlite::error::error;
use crate::store::sqlite::{SQL, Sql};
use crate::store::{BoxFuture, InboxTransaction, StoreError, check_consumer};

impl InboxTransaction for Transaction<'_, Sqlite> {
    fn remember<'a>(
        &'a mut self,
        table: &'a TableName,
        consumer: &'a str,
        message_id: MessageId,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            check_consumer(consumer)?;
            let sql = SQL.get(table, Sql::new);
            let done = sqlx::query(sql.remember.clone())
                .bind(consumer)
                .bind(Uuid::from(message_id))
                .execute(&mut **self)
                .await
                .map_err(|source| error("remember a message in the inbox of", table, source))?;
            Ok(done.rows_affected() == 1)
        })
    }
}
