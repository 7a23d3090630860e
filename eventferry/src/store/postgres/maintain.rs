//! Retention.

use std::time::Duration;

use crate::clock::duration_micros;
use crate::store::StoreError;
use crate::store::postgres::PostgresStore;

/// No row is older than this (a thousand years); more would leave PostgreSQL's range of times.
const AGE_MAX_MICROS: i64 = 31_557_600_000_000_000;

impl PostgresStore {
    pub(super) async fn purge_done(&self, older_than: Duration, limit: u32) -> Result<u64, StoreError> {
        let mut session = self.enter(&self.acking).await?;
        let answer = sqlx::query(self.sql.purge.clone())
            .bind(duration_micros(older_than).min(AGE_MAX_MICROS))
            .bind(i64::from(limit))
            .execute(session.connection())
            .await;
        session
            .finish("purge delivered rows", &self.table, answer)
            .map(|done| done.rows_affected())
    }
}
