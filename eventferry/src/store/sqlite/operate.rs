//! What an operator does, and what a relay does for one.

use std::collections::HashMap;

use uuid::Uuid;

use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::error::error;
use crate::store::sqlite::row::get;
use crate::store::{Fault, RelayId, StoreError, Verdict, VerdictOutcome};

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
        let list = serde_json::Value::from(list).to_string();
        let settled = sqlx::query(self.sql.discard_asked.clone())
            .bind(relay.as_uuid())
            .bind(&list)
            .fetch_all(&self.pool)
            .await
            .map_err(|source| error("record what an operator discarded in", &self.table, source))?;
        let mut outcomes = HashMap::with_capacity(settled.len());
        for row in &settled {
            outcomes.insert(get::<i64>(row, "id")?, VerdictOutcome::Discarded);
        }
        // Under a good lease a row that waits and was not settled is not asked for any more.
        let waiting = sqlx::query(self.sql.not_asked.clone())
            .bind(relay.as_uuid())
            .bind(&list)
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
