//! A consumer's memory of what it has handled.

use std::time::Duration;

use sqlx::{Sqlite, Transaction};
use uuid::Uuid;

use crate::clock::duration_micros;
use crate::event::{MessageId, TableName};
use crate::outbox::order_key;
use crate::store::sqlite::error::error;
use crate::store::sqlite::{SQL, Sql};
use crate::store::{BoxFuture, InboxTransaction, Place, StoreError, check_consumer, check_place};

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

    fn advance<'a>(&'a mut self, table: &'a TableName, place: Place<'a>) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            check_place(&place)?;
            let sql = SQL.get(table, Sql::new);
            let done = sqlx::query(sql.advance.clone())
                .bind(place.consumer)
                .bind(place.source)
                .bind(place.topic)
                .bind(place.partition.unwrap_or(-1))
                .bind(order_key(place.aggregate_type, place.aggregate_id))
                .bind(place.position)
                .execute(&mut **self)
                .await
                .map_err(|source| error("move a watermark in the inbox of", table, source))?;
            Ok(done.rows_affected() == 1)
        })
    }

    fn forget<'a>(
        &'a mut self,
        table: &'a TableName,
        consumer: &'a str,
        older_than: Duration,
        limit: u32,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            check_consumer(consumer)?;
            let sql = SQL.get(table, Sql::new);
            let mut forgotten = 0;
            for statement in [&sql.forget_messages, &sql.forget_watermarks] {
                let done = sqlx::query(statement.clone())
                    .bind(consumer)
                    .bind(duration_micros(older_than))
                    .bind(u64::from(limit).saturating_sub(forgotten).cast_signed())
                    .execute(&mut **self)
                    .await
                    .map_err(|source| error("forget handled messages in the inbox of", table, source))?;
                forgotten += done.rows_affected();
            }
            Ok(forgotten)
        })
    }
}
