//! What an operator does, and what a relay does for one.

use std::collections::HashMap;

use sqlx::postgres::{PgBindIterExt, PgRow};
use uuid::Uuid;

use crate::clock::from_micros;
use crate::event::{MessageId, Operator};
use crate::outbox::{Move, Status};
use crate::store::postgres::PostgresStore;
use crate::store::postgres::error::{store_error, undecodable};
use crate::store::postgres::row::{Columns, RECORD_COLUMNS};
use crate::store::{Fault, Moved, Operate, RelayId, RowFilter, ShowPayload, StoreError, StoredRow, Verdict, VerdictOutcome, moved, steps};

impl PostgresStore {
    /// Settles what an operator asked to discard, in one statement; sets the outcomes of those verdicts whose lease is good.
    pub(super) async fn discard_asked(
        &self,
        relay: RelayId,
        verdicts: &[Verdict],
        outcomes: &mut [Option<VerdictOutcome>],
    ) -> Result<(), StoreError> {
        let asked = |(place, verdict): &(usize, &Verdict)| verdict.fault == Fault::Discarded && outcomes[*place].is_none();
        let mut sorted: Vec<(usize, &Verdict)> = verdicts.iter().enumerate().filter(asked).collect();
        if sorted.is_empty() {
            return Ok(());
        }
        sorted.sort_unstable_by_key(|(_, verdict)| verdict.row);
        let each = || sorted.iter().map(|(_, verdict)| *verdict);
        let mut session = self.enter(&self.acking).await?;
        let answer = sqlx::query(self.sql.discard_asked.clone())
            .bind(relay.as_uuid())
            .bind(each().map(|v| v.row.id).bind_iter())
            .bind(each().map(|v| Uuid::from(v.row.message_id)).bind_iter())
            .bind(each().map(|v| i16::from(v.lease.lane)).bind_iter())
            .bind(each().map(|v| v.lease.epoch).bind_iter())
            .fetch_all(session.connection())
            .await;
        let rows = session.finish("record what an operator discarded", &self.table, answer)?;
        for row in &rows {
            let columns = Columns(row);
            let place = usize::try_from(columns.i64(0)? - 1).map_err(|_| undecodable(0))?;
            let (place, _) = sorted.get(place).ok_or_else(|| undecodable(0))?;
            outcomes[*place] = if columns.bool(1)? {
                Some(VerdictOutcome::Discarded)
            } else if columns.maybe(2)?.is_some() {
                // It waits, and nobody asks for it any more.
                let attempts = u32::try_from(columns.i32(2)?).unwrap_or(0);
                Some(VerdictOutcome::Waits { attempts })
            } else {
                None
            };
        }
        Ok(())
    }
}

/// On connections of the pool: an operator is not a relay, whose sessions have limits of their own.
impl Operate for PostgresStore {
    async fn list(&self, filter: &RowFilter, after: i64, limit: u32) -> Result<Vec<StoredRow>, StoreError> {
        filter.check()?;
        let aggregate = filter.aggregate.as_ref();
        let rows = sqlx::query(self.sql.list.clone())
            .bind(filter.statuses.iter().map(|status| status.code()).bind_iter())
            .bind(after)
            .bind(i64::from(limit))
            .bind(filter.topic.as_deref())
            .bind(aggregate.map(|(kind, id)| crate::outbox::order_key(kind, id)))
            .bind(aggregate.map(|(kind, _)| kind.as_str()))
            .bind(aggregate.map(|(_, id)| id.as_str()))
            .fetch_all(&self.pool)
            .await
            .map_err(|error| store_error("list rows", &self.table, &error))?;
        rows.iter().map(stored).collect()
    }

    async fn show(&self, id: MessageId, payload: ShowPayload) -> Result<Option<StoredRow>, StoreError> {
        let row = sqlx::query(self.sql.show.clone())
            .bind(Uuid::from(id))
            .bind(payload == ShowPayload::Read)
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| store_error("show a row", &self.table, &error))?;
        row.as_ref().map(stored).transpose()
    }

    async fn apply_to(&self, what: Move, ids: &[MessageId], from: &[Status], by: &Operator) -> Result<Vec<Moved>, StoreError> {
        let steps = steps(what, from);
        let changed = sqlx::query(self.sql.move_rows.clone())
            .bind(ids.iter().map(|id| Uuid::from(*id)).bind_iter())
            .bind(steps.iter().map(|step| step.from.code()).bind_iter())
            .bind(steps.iter().map(|step| step.to.code()).bind_iter())
            .bind(steps.iter().map(|step| step.trace).bind_iter())
            .bind(by.as_str())
            .bind(what == Move::Requeue)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| store_error("move rows", &self.table, &error))?;
        let changed = by_message_id(&changed)?;
        let rest: Vec<MessageId> = ids.iter().filter(|id| !changed.contains_key(id)).copied().collect();
        let found = if rest.is_empty() {
            HashMap::new()
        } else {
            let found = sqlx::query(self.sql.status_of.clone())
                .bind(rest.iter().map(|id| Uuid::from(*id)).bind_iter())
                .fetch_all(&self.pool)
                .await
                .map_err(|error| store_error("look for rows that did not move", &self.table, &error))?;
            by_message_id(&found)?
        };
        let answer = |id| moved(what, from, changed.get(id).copied(), found.get(id).copied());
        Ok(ids.iter().map(answer).collect())
    }
}

fn by_message_id(rows: &[PgRow]) -> Result<HashMap<MessageId, Status>, StoreError> {
    let pair = |row| {
        let columns = Columns(row);
        let status = Status::from_code(columns.i16(1)?).ok_or_else(|| undecodable(1))?;
        Ok((columns.message_id(0)?, status))
    };
    rows.iter().map(pair).collect()
}

fn stored(row: &PgRow) -> Result<StoredRow, StoreError> {
    let columns = Columns(row);
    let time = |column| columns.maybe(column)?.map(|_| columns.micros(column).map(from_micros)).transpose();
    let mut stored = StoredRow::new(columns.record()?);
    stored.available_at = time(RECORD_COLUMNS)?;
    stored.processed_at = time(RECORD_COLUMNS + 1)?;
    stored.last_error = columns.maybe_text(RECORD_COLUMNS + 2)?.map(str::to_owned);
    Ok(stored)
}
