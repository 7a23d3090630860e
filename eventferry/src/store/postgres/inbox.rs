//! A consumer's memory, in its own transaction.

use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use crate::event::{MessageId, TableName};
use crate::store::postgres::error::transaction_error;
use crate::store::postgres::statements_of;
use crate::store::{BoxFuture, InboxTransaction, StoreError, check_consumer};

impl InboxTransaction for Transaction<'_, Postgres> {
    fn remember<'a>(
        &'a mut self,
        table: &'a TableName,
        consumer: &'a str,
        message_id: MessageId,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            check_consumer(consumer)?;
            sqlx::query(statements_of(table).remember.clone())
                .bind(consumer)
                .bind(Uuid::from(message_id))
                .execute(&mut **self)
                .await
                .map(|done| done.rows_affected() == 1)
                .map_err(|error| transaction_error("remember a handled message", table, &error))
        })
    }
}
