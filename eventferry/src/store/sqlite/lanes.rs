//! Relays and the lanes they lease.

use sqlx::SqlStr;
use sqlx::sqlite::SqliteRow;

use crate::outbox::LaneLease;
use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::error::error;
use crate::store::sqlite::row::{get, json_list};
use crate::store::{Doing, RelayId, Renewed, StoreError, Taken};

fn lease(row: &SqliteRow) -> Result<LaneLease, StoreError> {
    Ok(LaneLease::new(get(row, "lane")?, get(row, "epoch")?))
}

fn taken(row: &SqliteRow) -> Result<Taken, StoreError> {
    Ok(Taken::new(lease(row)?, get(row, "deaths")?))
}

fn as_json(leases: &[LaneLease]) -> String {
    json_list(leases.iter().map(|lease| format!("[{},{}]", lease.lane, lease.epoch)))
}

impl SqliteStore {
    /// Registers the relay as alive.
    pub(super) async fn heartbeat(&self, relay: RelayId, doing: Doing) -> Result<(), StoreError> {
        let statement = self.sql.heartbeat.clone();
        self.write(move || {
            sqlx::query(statement.clone())
                .bind(relay.as_uuid())
                .bind(env!("CARGO_PKG_VERSION"))
                .bind(doing.as_str())
        })
        .await
        .map_err(|source| error("register a relay of", &self.table, source))?;
        Ok(())
    }

    pub(super) async fn renew_lanes(&self, relay: RelayId, held: &[LaneLease], doing: Doing) -> Result<Renewed, StoreError> {
        self.heartbeat(relay, doing).await?;
        let failed = |source| error("renew leases of", &self.table, source);
        let (statement, held) = (self.sql.renew_lanes.clone(), as_json(held));
        let rows = self
            .write(move || sqlx::query(statement.clone()).bind(relay.as_uuid()).bind(held.clone()))
            .await
            .map_err(failed)?;
        let kept = rows.iter().map(lease).collect::<Result<_, _>>()?;
        let live = sqlx::query_scalar(self.sql.count_relays.clone())
            .bind(relay.as_uuid())
            .fetch_one(&self.pool)
            .await
            .map_err(failed)?;
        Ok(Renewed::new(kept, live))
    }

    pub(super) async fn take_lanes(&self, relay: RelayId, limit: u8) -> Result<Vec<Taken>, StoreError> {
        let statement = self.sql.take_lanes.clone();
        let rows = self
            .write(move || sqlx::query(statement.clone()).bind(relay.as_uuid()).bind(limit))
            .await
            .map_err(|source| error("lease lanes of", &self.table, source))?;
        rows.iter().map(taken).collect()
    }

    pub(super) async fn take_lane_groups(&self, relay: RelayId, groups: &[u8], size: u8, limit: u8) -> Result<Vec<Taken>, StoreError> {
        let (statement, groups) = (self.sql.take_groups.clone(), json_list(groups.iter().map(u8::to_string)));
        let rows = self
            .write(move || {
                sqlx::query(statement.clone())
                    .bind(relay.as_uuid())
                    .bind(groups.clone())
                    .bind(size.max(1))
                    .bind(limit)
            })
            .await
            .map_err(|source| error("lease groups of lanes of", &self.table, source))?;
        rows.iter().map(taken).collect()
    }

    pub(super) async fn release_lanes(&self, relay: RelayId, lanes: &[LaneLease]) -> Result<(), StoreError> {
        self.change_lanes("release lanes of", &self.sql.release_lanes, relay, lanes).await
    }

    pub(super) async fn forgive_lanes(&self, relay: RelayId, lanes: &[LaneLease]) -> Result<(), StoreError> {
        self.change_lanes("forgive lanes of", &self.sql.forgive_lanes, relay, lanes).await
    }

    async fn change_lanes(&self, what: &'static str, statement: &SqlStr, relay: RelayId, lanes: &[LaneLease]) -> Result<(), StoreError> {
        let (statement, lanes) = (statement.clone(), as_json(lanes));
        self.write(move || sqlx::query(statement.clone()).bind(relay.as_uuid()).bind(lanes.clone()))
            .await
            .map_err(|source| error(what, &self.table, source))?;
        Ok(())
    }

    pub(super) async fn forget(&self, relay: RelayId) -> Result<(), StoreError> {
        let statement = self.sql.close_relay.clone();
        self.write(move || sqlx::query(statement.clone()).bind(relay.as_uuid()))
            .await
            .map_err(|source| error("forget a relay of", &self.table, source))?;
        Ok(())
    }
}
