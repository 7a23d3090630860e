//! What an operator does, and what a relay does for one.

use sqlx::postgres::PgBindIterExt;
use uuid::Uuid;

use crate::store::postgres::PostgresStore;
use crate::store::postgres::error::undecodable;
use crate::store::postgres::row::Columns;
use crate::store::{Fault, RelayId, StoreError, Verdict, VerdictOutcome};

impl PostgresStore {
    /// Settles what an operator asked to discard, in one statement; the outcomes of those verdicts whose lease is good.
    pub(super) async fn discard_asked(&self, relay: RelayId, verdicts: &[Verdict]) -> Result<Vec<Option<VerdictOutcome>>, StoreError> {
        let mut outcomes = vec![None; verdicts.len()];
        let asked = verdicts.iter().enumerate().filter(|(_, verdict)| verdict.fault == Fault::Discarded);
        let mut sorted: Vec<(usize, &Verdict)> = asked.collect();
        if sorted.is_empty() {
            return Ok(outcomes);
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
        Ok(outcomes)
    }
}
