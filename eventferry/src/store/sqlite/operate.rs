//! What an operator does, and what a relay does for one.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::clock::from_micros;
use crate::event::{MessageId, Operator};
use crate::outbox::{Move, Status, order_key};
use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::error::error;
use crate::store::sqlite::row::{get, record, status};
use crate::store::{Fault, Moved, Operate, RelayId, RowFilter, ShowPayload, StoreError, StoredRow, Verdict, VerdictOutcome, moved, steps};

impl SqliteStore {
    /// Settles what an operator asked to discard; the outcomes by id of those verdicts whose lease is good.
    pub(super) async fn discard_asked(&self, relay: RelayId, verdicts: &[Verdict]) -> Result<HashMap<i64, VerdictOutcome>, StoreError> {
        let asked = verdicts.iter().filter(|verdict| verdict.fault == Fault::Discarded);
        let list: Vec<serde_json::Value> = asked
            .map(|verdict| {
                serde_json::json!({
                    "id": verdict.row.id,
                    "message_id": Uuid::from(verdict.row.message_id).simple().to_string(),
                    "lane": verdict.lease.lane,
                    "epoch": verdict.lease.epoch,
                })
            })
            .collect();
        if list.is_empty() {
            return Ok(HashMap::new());
        }
        let list = Arc::<str>::from(serde_json::Value::from(list).to_string());
        let (statement, asked) = (self.sql.discard_asked.clone(), Arc::clone(&list));
        let settled = self
            .write(move || sqlx::query(statement.clone()).bind(relay.as_uuid()).bind(Arc::clone(&asked)))
            .await
            .map_err(|source| error("record what an operator discarded in", &self.table, source))?;
        let mut outcomes = HashMap::with_capacity(settled.len());
        for row in &settled {
            outcomes.insert(get::<i64>(row, "id")?, VerdictOutcome::Discarded);
        }
        // Under a good lease a row that waits and was not settled is not asked for any more.
        let waiting = sqlx::query(self.sql.not_asked.clone())
            .bind(relay.as_uuid())
            .bind(list)
            .fetch_all(&self.pool)
            .await
            .map_err(|source| error("look for what is not to be discarded any more in", &self.table, source))?;
        for row in &waiting {
            let attempts = get(row, "attempts")?;
            outcomes.insert(get::<i64>(row, "id")?, VerdictOutcome::Waits { attempts });
        }
        Ok(outcomes)
    }
}

impl Operate for SqliteStore {
    async fn list(&self, filter: &RowFilter, after: i64, limit: u32) -> Result<Vec<StoredRow>, StoreError> {
        filter.check()?;
        let statuses: Vec<i16> = filter.statuses.iter().map(|status| status.code()).collect();
        let aggregate = filter.aggregate.as_ref();
        let rows = sqlx::query(self.sql.list.clone())
            .bind(serde_json::Value::from(statuses).to_string())
            .bind(after)
            .bind(limit)
            .bind(filter.topic.as_deref())
            .bind(aggregate.map(|(kind, id)| order_key(kind, id)))
            .bind(aggregate.map(|(kind, _)| kind.as_str()))
            .bind(aggregate.map(|(_, id)| id.as_str()))
            .fetch_all(&self.pool)
            .await
            .map_err(|source| error("list rows of", &self.table, source))?;
        rows.iter().map(stored).collect()
    }

    async fn show(&self, id: MessageId, payload: ShowPayload) -> Result<Option<StoredRow>, StoreError> {
        let row = sqlx::query(self.sql.show.clone())
            .bind(Uuid::from(id))
            .bind(payload == ShowPayload::Read)
            .fetch_optional(&self.pool)
            .await
            .map_err(|source| error("show a row of", &self.table, source))?;
        row.as_ref().map(stored).transpose()
    }

    async fn apply_to(&self, what: Move, ids: &[MessageId], from: &[Status], by: &Operator) -> Result<Vec<Moved>, StoreError> {
        let steps: Vec<serde_json::Value> = steps(what, from)
            .into_iter()
            .map(|step| serde_json::json!({"from": step.from.code(), "to": step.to.code(), "trace": step.trace}))
            .collect();
        let changed = sqlx::query(self.sql.move_rows.clone())
            .bind(ids_as_json(ids.iter()))
            .bind(serde_json::Value::from(steps).to_string())
            .bind(by.as_str())
            .bind(what == Move::Requeue)
            .fetch_all(&self.pool)
            .await
            .map_err(|source| error("move rows of", &self.table, source))?;
        let changed = by_message_id(&changed)?;
        let rest = ids.iter().filter(|id| !changed.contains_key(id));
        let found = sqlx::query(self.sql.statuses_of.clone())
            .bind(ids_as_json(rest))
            .fetch_all(&self.pool)
            .await
            .map_err(|source| error("look for rows that did not move in", &self.table, source))?;
        let found = by_message_id(&found)?;
        let answer = |id| moved(what, from, changed.get(id).copied(), found.get(id).copied());
        Ok(ids.iter().map(answer).collect())
    }
}

fn ids_as_json<'a>(ids: impl Iterator<Item = &'a MessageId>) -> String {
    let hex: Vec<String> = ids.map(|id| Uuid::from(*id).simple().to_string()).collect();
    serde_json::Value::from(hex).to_string()
}

fn by_message_id(rows: &[SqliteRow]) -> Result<HashMap<MessageId, Status>, StoreError> {
    let pair = |row| Ok((MessageId::from(get::<Uuid>(row, "message_id")?), status(get(row, "status")?)?));
    rows.iter().map(pair).collect()
}

fn stored(row: &SqliteRow) -> Result<StoredRow, StoreError> {
    let mut stored = StoredRow::new(record(row)?);
    stored.available_at = get::<Option<i64>>(row, "available_at")?.map(from_micros);
    stored.processed_at = get::<Option<i64>>(row, "processed_at")?.map(from_micros);
    stored.last_error = get(row, "last_error")?;
    Ok(stored)
}
