//! A consumer's memory, in its own transaction.

use std::time::Duration;

use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use crate::clock::duration_micros;
use crate::event::{MessageId, TableName};
use crate::outbox::order_key;
use crate::store::postgres::error::transaction_error;
use crate::store::postgres::maintain::AGE_MAX_MICROS;
use crate::store::postgres::row::Columns;
use crate::store::postgres::statements_of;
use crate::store::{BoxFuture, InboxTransaction, Place, StoreError, check_consumer, check_place};

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

    fn advance<'a>(&'a mut self, table: &'a TableName, place: Place<'a>) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            check_place(&place)?;
            sqlx::query(statements_of(table).advance.clone())
                .bind(place.consumer)
                .bind(place.source)
                .bind(place.topic)
                .bind(place.partition.unwrap_or(-1))
                .bind(order_key(place.aggregate_type, place.aggregate_id))
                .bind(place.position)
                .execute(&mut **self)
                .await
                .map(|done| done.rows_affected() == 1)
                .map_err(|error| transaction_error("move a watermark", table, &error))
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
            let row = sqlx::query(statements_of(table).forget.clone())
                .bind(consumer)
                .bind(duration_micros(older_than).min(AGE_MAX_MICROS))
                .bind(i64::from(limit))
                .fetch_one(&mut **self)
                .await
                .map_err(|error| transaction_error("forget handled messages", table, &error))?;
            Ok(Columns(&row).i64(0)?.unsigned_abs())
        })
    }
}
