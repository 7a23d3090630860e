//! Writing events in the caller's transaction.

use sqlx::postgres::{PgArguments, PgBindIterExt, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, SqlStr, Transaction};
use uuid::Uuid;

use crate::clock::micros;
use crate::event::{MessageId, TableName};
use crate::outbox::NewRecord;
use crate::store::postgres::error::transaction_error;
use crate::store::postgres::row::Columns;
use crate::store::postgres::statements_of;
use crate::store::{BoxFuture, OpenTransaction, Receipt, StoreError, check_records, headers};

/// The first and last microsecond of the years 1 to 9999: PostgreSQL holds a little more, its interval arithmetic does not.
const TIMES: (i64, i64) = (-62_135_596_800_000_000, 253_402_300_799_999_999);

impl OpenTransaction for Transaction<'_, Postgres> {
    fn insert<'a>(&'a mut self, table: &'a TableName, records: Vec<NewRecord>) -> BoxFuture<'a, Result<Vec<Receipt>, StoreError>> {
        Box::pin(async move {
            if records.is_empty() {
                return Ok(Vec::new());
            }
            check_records(&records)?;
            let headers: Vec<_> = records.iter().map(|r| headers::to_json(&r.headers)).collect::<Result<_, _>>()?;
            let statement = statements_of(table).insert.clone();
            let rows = bind(statement, &records, &headers)
                .fetch_all(&mut **self)
                .await
                .map_err(|error| transaction_error("enqueue", table, &error))?;
            receipts(&records, &rows)
        })
    }
}

/// Whether the event keeps its place in the order of its aggregate.
fn takes_place(record: &NewRecord) -> bool {
    record.ordered && record.deliver_at.is_none()
}

/// One array for each column, written into the message as it is walked: no list of columns is built in between.
fn bind<'q>(statement: SqlStr, records: &[NewRecord], headers: &[std::borrow::Cow<'static, str>]) -> Query<'q, Postgres, PgArguments> {
    let due = |r: &NewRecord| r.deliver_at.map(|at| micros(at).clamp(TIMES.0, TIMES.1));
    sqlx::query(statement)
        .bind(records.iter().map(|r| Uuid::from(r.message_id)).bind_iter())
        .bind(records.iter().map(NewRecord::order_key).bind_iter())
        .bind(records.iter().map(takes_place).bind_iter())
        .bind(records.iter().map(due).bind_iter())
        .bind(records.iter().map(|r| r.aggregate_type.as_str()).bind_iter())
        .bind(records.iter().map(|r| r.aggregate_id.as_str()).bind_iter())
        .bind(records.iter().map(|r| r.topic.as_str()).bind_iter())
        .bind(records.iter().map(|r| r.key.as_deref()).bind_iter())
        .bind(records.iter().map(|r| r.partition).bind_iter())
        .bind(records.iter().map(|r| r.event_type.as_str()).bind_iter())
        // `check_records` has refused what does not fit.
        .bind(records.iter().map(|r| r.event_version.cast_signed()).bind_iter())
        .bind(records.iter().map(|r| r.content_type.as_str()).bind_iter())
        .bind(headers.iter().map(AsRef::<str>::as_ref).bind_iter())
        .bind(records.iter().map(|r| r.payload.as_deref()).bind_iter())
        .bind(i64::try_from(records.len()).unwrap_or(i64::MAX))
}

/// One receipt for each record. Ids rise in the order given, so the rows that were written are met in that order.
fn receipts(records: &[NewRecord], rows: &[PgRow]) -> Result<Vec<Receipt>, StoreError> {
    let mut written = Vec::with_capacity(records.len());
    let mut dead = Vec::new();
    for row in rows {
        let columns = Columns(row);
        let message_id = columns.message_id(1)?;
        match columns.maybe_i64(0)? {
            Some(id) => written.push((id, message_id)),
            None if columns.bool(2)? => dead.push(message_id),
            None => {}
        }
    }
    written.sort_unstable_by_key(|(id, _)| *id);
    let mut written = written.into_iter().peekable();
    let receipt = |message_id: MessageId| match written.next_if(|(_, written)| *written == message_id) {
        Some((position, _)) => Receipt::Enqueued { message_id, position },
        None => Receipt::Duplicate {
            message_id,
            dead: dead.contains(&message_id),
        },
    };
    Ok(records.iter().map(|record| record.message_id).map(receipt).collect())
}
