//! Acks and verdicts.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::clock::duration_micros;
use crate::outbox::{OnDead, RowId, Status};
use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::error::error;
use crate::store::sqlite::row::{get, rows_as_json, status};
use crate::store::{Fault, RelayId, Retention, StoreError, Verdict, VerdictOutcome};

/// No wait is longer: beyond it, microseconds since 1970 leave the range of the column.
const LONGEST_WAIT: Duration = Duration::from_hours(100 * 365 * 24);

impl SqliteStore {
    pub(super) async fn settle(&self, rows: &[RowId], retention: Retention) -> Result<(), StoreError> {
        let statement = match retention {
            Retention::Keep(_) => self.sql.done_keep.clone(),
            Retention::Delete => self.sql.done_delete.clone(),
        };
        let rows = Arc::<str>::from(rows_as_json(rows));
        self.write(move || sqlx::query(statement.clone()).bind(Arc::clone(&rows)))
            .await
            .map_err(|source| error("record deliveries in", &self.table, source))?;
        Ok(())
    }

    pub(super) async fn judge(&self, relay: RelayId, verdicts: &[Verdict]) -> Result<Vec<VerdictOutcome>, StoreError> {
        let discarded = self.discard_asked(relay, verdicts).await?;
        let judged = verdicts.iter().filter(|verdict| verdict.fault != Fault::Discarded);
        let list: Vec<serde_json::Value> = judged.map(as_json).collect();
        let (statement, list) = (self.sql.fail.clone(), Arc::<str>::from(serde_json::Value::from(list).to_string()));
        let changed = self
            .write(move || sqlx::query(statement.clone()).bind(relay.as_uuid()).bind(Arc::clone(&list)))
            .await
            .map_err(|source| error("record verdicts in", &self.table, source))?;
        let mut outcomes = discarded;
        for row in &changed {
            outcomes.insert(get::<i64>(row, "id")?, outcome(status(get(row, "status")?)?, get(row, "attempts")?));
        }
        // A verdict that matched nothing settles nothing by itself: the row says whether it is settled or the lane is lost.
        let unmatched: Vec<RowId> = verdicts
            .iter()
            .map(|verdict| verdict.row)
            .filter(|row| !outcomes.contains_key(&row.id))
            .collect();
        let mut standing = if unmatched.is_empty() {
            Vec::new()
        } else {
            self.statuses(&unmatched).await?
        }
        .into_iter();
        let answer = |verdict: &Verdict| match outcomes.get(&verdict.row.id) {
            Some(outcome) => *outcome,
            None => match standing.next().flatten() {
                None | Some(Status::Done | Status::Dead) => VerdictOutcome::Settled,
                Some(Status::DeadHolding) => VerdictOutcome::Holds,
                Some(Status::Pending | Status::Scheduled | Status::Failed) => VerdictOutcome::LaneLost,
            },
        };
        Ok(verdicts.iter().map(answer).collect())
    }
}

fn as_json(verdict: &Verdict) -> serde_json::Value {
    let micros = |delay: Duration| duration_micros(delay.min(LONGEST_WAIT));
    let (kind, delay, max_attempts) = match verdict.fault {
        Fault::Refused { delay, max_attempts } => (0, micros(delay), max_attempts),
        Fault::Rejected | Fault::Discarded => (1, 0, 0),
        Fault::Begun { max_attempts } => (2, 0, max_attempts),
        Fault::Excused => (3, 0, 0),
        Fault::RefusedAlone { delay, max_attempts } => (4, micros(delay), max_attempts),
    };
    serde_json::json!({
        "id": verdict.row.id,
        "message_id": Uuid::from(verdict.row.message_id).simple().to_string(),
        "lane": verdict.lease.lane,
        "epoch": verdict.lease.epoch,
        "kind": kind,
        "attempts": verdict.attempts,
        "delay": delay,
        "max_attempts": max_attempts,
        "holds": u8::from(verdict.on_dead == OnDead::Hold),
        "error": verdict.error.replace('\0', "\u{fffd}"),
    })
}

fn outcome(status: Status, attempts: u32) -> VerdictOutcome {
    match status {
        Status::Dead => VerdictOutcome::Dead,
        Status::DeadHolding => VerdictOutcome::Holds,
        Status::Pending | Status::Scheduled | Status::Done | Status::Failed => VerdictOutcome::Waits { attempts },
    }
}
