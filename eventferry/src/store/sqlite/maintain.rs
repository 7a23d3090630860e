//! What happens at a relay's start, and what keeps the table small.

use std::time::Duration;

use crate::clock::duration_micros;
use crate::outbox::LANES;
use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::error::error;
use crate::store::sqlite::migrate::{VERSION, wrong_version};
use crate::store::sqlite::row::get;
use crate::store::{Doing, Opened, RelayId, StoreError, StoreErrorKind};

impl SqliteStore {
    pub(super) async fn check_and_register(&self, relay: RelayId) -> Result<Opened, StoreError> {
        let failed = |source| error("open", &self.table, source);
        let row = sqlx::query(self.sql.check.clone())
            .fetch_optional(&self.pool)
            .await
            .map_err(failed)?;
        let refuse = |why: &str| {
            Err(StoreError::new(
                StoreErrorKind::Misconfigured,
                format!("cannot use outbox `{}`: {why}", self.table),
            ))
        };
        let Some(row) = row else {
            return refuse("its settings are gone: drop it with `SqliteStore::migrate_down` and make it again");
        };
        let version: u32 = get(&row, "version")?;
        if version != VERSION {
            return Err(wrong_version(&self.table, version));
        }
        if get::<i64>(&row, "lanes")? != i64::from(LANES) {
            return refuse("its lane table does not have exactly the lanes 0 to 63");
        }
        if !get::<bool>(&row, "ids_stay_used")? {
            return refuse("its id is not AUTOINCREMENT, so ids of deleted rows would be drawn again");
        }
        let mut opened = Opened::new(
            Duration::from_micros(u64::try_from(get::<i64>(&row, "lease_micros")?).unwrap_or(0)),
            get::<String>(&row, "uuid")?,
        );
        let (journal, synchronous): (String, i64) = (get(&row, "journal_mode")?, get(&row, "synchronous")?);
        if !matches!(journal.as_str(), "wal" | "memory") {
            opened.warnings.push(format!(
                "journal_mode is `{journal}`: readers and the writer stop each other; open the pool in WAL mode"
            ));
        }
        if synchronous < 2 {
            opened.warnings.push(String::from(
                "synchronous is below FULL: a power failure may take back commits whose events were delivered",
            ));
        }
        if get::<i64>(&row, "busy_timeout")? == 0 {
            opened
                .warnings
                .push(String::from("busy_timeout is 0: a second writer fails at once instead of waiting"));
        }
        sqlx::query(self.sql.forget_relays.clone())
            .execute(&self.pool)
            .await
            .map_err(failed)?;
        self.heartbeat(relay, Doing::Sharing).await?;
        Ok(opened)
    }

    pub(super) async fn purge_rows(&self, older_than: Duration, limit: u32) -> Result<u64, StoreError> {
        let purged = sqlx::query(self.sql.purge.clone())
            .bind(duration_micros(older_than))
            .bind(limit)
            .execute(&self.pool)
            .await
            .map_err(|source| error("purge", &self.table, source))?;
        Ok(purged.rows_affected())
    }
}
