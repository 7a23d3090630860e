//! Deliveries and refusals.

use std::collections::HashSet;

use sqlx::SqlStr;
use sqlx::postgres::PgBindIterExt;
use uuid::Uuid;

use crate::clock::duration_micros;
use crate::outbox::{OnDead, RowId, Status};
use crate::store::postgres::PostgresStore;
use crate::store::postgres::error::{is_lock_timeout, undecodable};
use crate::store::postgres::row::Columns;
use crate::store::{Fault, RelayId, Retention, StoreError, StoreErrorKind, Verdict, VerdictOutcome};

/// Error texts are cut at this many bytes: a row must stay small enough to be updated cheaply.
const ERROR_MAX: usize = 2000;
/// No delay is longer than this (a hundred years), so that no time leaves PostgreSQL's range.
const DELAY_MAX_MICROS: i64 = 3_155_760_000_000_000;

impl PostgresStore {
    /// Answers the rows that somebody else has locked.
    pub(super) async fn ack(&self, rows: &[RowId], retention: Retention) -> Result<Vec<RowId>, StoreError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let (all, free) = match retention {
            Retention::Keep(_) => (&self.sql.done_keep, &self.sql.done_keep_free),
            Retention::Delete => (&self.sql.done_delete, &self.sql.done_delete_free),
        };
        let mut rows = rows.to_vec();
        // Every session locks rows by rising id, so that two of them never wait for each other.
        rows.sort_unstable();
        rows.dedup();
        match self.ack_all(all, &rows).await {
            Err(error) if error.kind() == StoreErrorKind::Contention => {}
            answer => return answer.map(|()| Vec::new()),
        }
        // Somebody holds one of the rows: the others must not wait for it.
        self.ask_about("record deliveries", free, &rows).await
    }

    async fn ack_all(&self, statement: &SqlStr, rows: &[RowId]) -> Result<(), StoreError> {
        let mut session = self.enter(&self.acking).await?;
        let answer = sqlx::query(statement.clone())
            .bind(rows.iter().map(|row| row.id).bind_iter())
            .bind(rows.iter().map(|row| Uuid::from(row.message_id)).bind_iter())
            .execute(session.connection())
            .await;
        session.finish("record deliveries", &self.table, answer).map(drop)
    }

    /// Runs a statement that waits for nobody, and answers the rows that it left out.
    async fn ask_about(&self, attempted: &str, statement: &SqlStr, rows: &[RowId]) -> Result<Vec<RowId>, StoreError> {
        let mut session = self.enter(&self.acking).await?;
        let answer = sqlx::query(statement.clone())
            .bind(rows.iter().map(|row| row.id).bind_iter())
            .bind(rows.iter().map(|row| Uuid::from(row.message_id)).bind_iter())
            .fetch_all(session.connection())
            .await;
        let skipped = session.finish(attempted, &self.table, answer)?;
        let row = |row| {
            let columns = Columns(row);
            Ok(RowId::new(columns.i64(0)?, columns.message_id(1)?))
        };
        skipped.iter().map(row).collect()
    }

    pub(super) async fn refuse(&self, relay: RelayId, verdicts: &[Verdict]) -> Result<Vec<VerdictOutcome>, StoreError> {
        if verdicts.is_empty() {
            return Ok(Vec::new());
        }
        let mut outcomes = vec![None; verdicts.len()];
        match self.write_all(relay, verdicts, &mut outcomes).await {
            Err(error) if is_lock_timeout(&error) => Box::pin(self.write_round(error, relay, verdicts, &mut outcomes)).await?,
            answer => answer?,
        }
        let unmatched: Vec<usize> = (0..verdicts.len()).filter(|place| outcomes[*place].is_none()).collect();
        if !unmatched.is_empty() {
            let rows: Vec<RowId> = unmatched.iter().map(|place| verdicts[*place].row).collect();
            for (place, status) in unmatched.into_iter().zip(self.statuses(&rows).await?) {
                outcomes[place] = Some(unchanged(status));
            }
        }
        Ok(outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or(VerdictOutcome::LaneLost))
            .collect())
    }

    /// Writes all verdicts that have no outcome yet.
    async fn write_all(&self, relay: RelayId, verdicts: &[Verdict], outcomes: &mut [Option<VerdictOutcome>]) -> Result<(), StoreError> {
        self.discard_asked(relay, verdicts, outcomes).await?;
        self.write_verdicts(relay, verdicts, outcomes).await
    }

    /// The same where somebody holds one of the rows: the others must not wait for it.
    async fn write_round(
        &self,
        error: StoreError,
        relay: RelayId,
        verdicts: &[Verdict],
        outcomes: &mut [Option<VerdictOutcome>],
    ) -> Result<(), StoreError> {
        let mut rows: Vec<RowId> = verdicts.iter().map(|verdict| verdict.row).collect();
        rows.sort_unstable();
        let locked: HashSet<RowId> = self
            .ask_about("look for locked rows", &self.sql.locked, &rows)
            .await?
            .into_iter()
            .collect();
        if locked.is_empty() {
            return Err(error);
        }
        for (verdict, outcome) in verdicts.iter().zip(outcomes.iter_mut()) {
            if outcome.is_none() && locked.contains(&verdict.row) {
                *outcome = Some(VerdictOutcome::Locked);
            }
        }
        self.write_all(relay, verdicts, outcomes).await
    }

    /// One statement, about all that is not discarded; sets the outcomes of those verdicts that changed a row.
    async fn write_verdicts(
        &self,
        relay: RelayId,
        verdicts: &[Verdict],
        outcomes: &mut [Option<VerdictOutcome>],
    ) -> Result<(), StoreError> {
        let judged = |(place, verdict): &(usize, &Verdict)| verdict.fault != Fault::Discarded && outcomes[*place].is_none();
        let mut sorted: Vec<(usize, &Verdict)> = verdicts.iter().enumerate().filter(judged).collect();
        if sorted.is_empty() {
            return Ok(());
        }
        sorted.sort_unstable_by_key(|(_, verdict)| verdict.row);
        let each = || sorted.iter().map(|(_, verdict)| *verdict);
        let mut session = self.enter(&self.acking).await?;
        let answer = sqlx::query(self.sql.fail.clone())
            .bind(relay.as_uuid())
            .bind(each().map(|v| v.row.id).bind_iter())
            .bind(each().map(|v| Uuid::from(v.row.message_id)).bind_iter())
            .bind(each().map(|v| i16::from(v.lease.lane)).bind_iter())
            .bind(each().map(|v| v.lease.epoch).bind_iter())
            .bind(each().map(|v| terms(v.fault).0).bind_iter())
            .bind(each().map(|v| terms(v.fault).1).bind_iter())
            .bind(each().map(|v| terms(v.fault).2).bind_iter())
            .bind(each().map(|v| v.on_dead == OnDead::Hold).bind_iter())
            .bind(each().map(|v| error_text(&v.error)).bind_iter())
            .bind(each().map(|v| i32::try_from(v.attempts).unwrap_or(i32::MAX)).bind_iter())
            .fetch_all(session.connection())
            .await;
        let rows = session.finish("record refusals", &self.table, answer)?;
        for row in &rows {
            let columns = Columns(row);
            let place = usize::try_from(columns.i64(0)? - 1).map_err(|_| undecodable(0))?;
            let (place, _) = sorted.get(place).ok_or_else(|| undecodable(0))?;
            let attempts = u32::try_from(columns.i32(2)?).unwrap_or(0);
            let status = Status::from_code(columns.i16(1)?).ok_or_else(|| undecodable(1))?;
            outcomes[*place] = Some(match status {
                Status::Dead => VerdictOutcome::Dead,
                Status::DeadHolding => VerdictOutcome::Holds,
                Status::Pending | Status::Scheduled | Status::Done | Status::Failed => VerdictOutcome::Waits { attempts },
            });
        }
        Ok(())
    }
}

/// What a verdict that matched no row says, now that the row was looked up.
fn unchanged(status: Option<Status>) -> VerdictOutcome {
    match status {
        None | Some(Status::Done | Status::Dead) => VerdictOutcome::Settled,
        Some(Status::DeadHolding) => VerdictOutcome::Holds,
        Some(Status::Pending | Status::Scheduled | Status::Failed) => VerdictOutcome::LaneLost,
    }
}

/// A fault as the statement takes it: its kind, the delay in microseconds, and the attempts at which it dies.
fn terms(fault: Fault) -> (i16, i64, i64) {
    let micros = |delay| duration_micros(delay).min(DELAY_MAX_MICROS);
    match fault {
        Fault::Refused { delay, max_attempts } => (0, micros(delay), i64::from(max_attempts)),
        Fault::Rejected | Fault::Discarded => (1, 0, 0),
        Fault::Begun { max_attempts } => (2, 0, i64::from(max_attempts)),
        Fault::Excused => (3, 0, 0),
        Fault::RefusedAlone { delay, max_attempts } => (4, micros(delay), i64::from(max_attempts)),
    }
}

/// What `last_error` can hold: no NUL, and not too long.
fn error_text(error: &str) -> String {
    let mut text = error.replace('\0', "\u{fffd}");
    text.truncate(text.floor_char_boundary(ERROR_MAX));
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn error_texts_fit_into_the_column() {
        assert_eq!(error_text("a\0b"), "a\u{fffd}b");
        assert_eq!(error_text(&"ä".repeat(2000)).len(), ERROR_MAX);
    }

    #[test]
    fn no_delay_leaves_the_range_of_times() {
        let for_ever = Fault::Refused {
            delay: Duration::MAX,
            max_attempts: 3,
        };
        assert_eq!(terms(for_ever), (0, DELAY_MAX_MICROS, 3));
    }
}
