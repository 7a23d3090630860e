//! Events into the caller's transaction.

use sqlx::{Row as _, Sqlite, Transaction};
use uuid::Uuid;

use crate::clock::micros;
use crate::event::TableName;
use crate::outbox::{NewRecord, Status};
use crate::store::sqlite::error::error;
use crate::store::sqlite::row::status;
use crate::store::sqlite::{SQL, Sql};
use crate::store::{BoxFuture, OpenTransaction, Receipt, StoreError, check_records, headers};

impl OpenTransaction for Transaction<'_, Sqlite> {
    fn insert<'a>(&'a mut self, table: &'a TableName, records: Vec<NewRecord>) -> BoxFuture<'a, Result<Vec<Receipt>, StoreError>> {
        Box::pin(async move {
            check_records(&records)?;
            let texts = records
                .iter()
                .map(|record| headers::to_json(&record.headers))
                .collect::<Result<Vec<_>, _>>()?;
            let sql = SQL.get(table, Sql::new);
            let mut receipts = Vec::with_capacity(records.len());
            // The database is in this process: one prepared statement per row costs no round trip.
            for (record, headers) in records.into_iter().zip(texts) {
                receipts.push(insert_one(self, table, &sql, record, headers.into_owned()).await?);
            }
            Ok(receipts)
        })
    }
}

async fn insert_one(
    tx: &mut Transaction<'_, Sqlite>,
    table: &TableName,
    sql: &Sql,
    record: NewRecord,
    headers: String,
) -> Result<Receipt, StoreError> {
    let message_id = record.message_id;
    let inserted = sqlx::query(sql.insert.clone())
        .bind(Uuid::from(message_id))
        .bind(record.order_key())
        .bind(record.ordered)
        .bind(record.aggregate_type)
        .bind(record.aggregate_id)
        .bind(record.topic)
        .bind(record.key)
        .bind(record.partition)
        .bind(record.event_type)
        .bind(record.event_version)
        .bind(record.payload)
        .bind(record.content_type)
        .bind(headers)
        .bind(record.deliver_at.map(micros))
        .fetch_optional(&mut **tx)
        .await
        .map_err(|source| error("enqueue into", table, source))?;
    if let Some(row) = inserted {
        let position = row
            .try_get(0)
            .map_err(|source| error("read the new row's id from", table, source))?;
        return Ok(Receipt::Enqueued { message_id, position });
    }
    let there = sqlx::query_scalar(sql.status_of.clone())
        .bind(Uuid::from(message_id))
        .fetch_one(&mut **tx)
        .await
        .map_err(|source| error("look for the first row of a message id in", table, source))?;
    let dead = matches!(status(there)?, Status::Dead | Status::DeadHolding);
    Ok(Receipt::Duplicate { message_id, dead })
}
