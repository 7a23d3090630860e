//! Leases, and who is alive. Every method is one autocommit statement on a connection of its own, so that nothing slow delays a heartbeat.

use std::sync::PoisonError;

use sqlx::SqlStr;
use sqlx::postgres::{PgBindIterExt, PgRow};

use crate::outbox::LaneLease;
use crate::store::postgres::PostgresStore;
use crate::store::postgres::error::{lost_identity, undecodable};
use crate::store::postgres::row::Columns;
use crate::store::{Doing, ReadBatch, RelayId, Renewed, StoreError, StoreErrorKind, Taken};

impl PostgresStore {
    pub(super) async fn renew_lanes(&self, relay: RelayId, held: &[LaneLease], doing: Doing) -> Result<Renewed, StoreError> {
        let mut session = self.enter(&self.leasing).await?;
        let answer = sqlx::query(self.sql.renew.clone())
            .bind(relay.as_uuid())
            .bind(held.iter().map(|lease| i16::from(lease.lane)).bind_iter())
            .bind(held.iter().map(|lease| lease.epoch).bind_iter())
            .bind(doing.as_str())
            .fetch_all(session.connection())
            .await;
        let rows = session.finish("renew leases", &self.table, answer)?;
        let (first, kept) = rows.split_first().ok_or_else(|| lost_identity(&self.table))?;
        let first = Columns(first);
        self.check_sequence(first.text(4)?, first.maybe_i64(3)?)?;
        let live = u32::try_from(first.i64(2)?).unwrap_or(u32::MAX);
        Ok(Renewed::new(kept.iter().map(lease).collect::<Result<_, _>>()?, live))
    }

    pub(super) async fn take_lanes(&self, relay: RelayId, limit: u8) -> Result<Vec<Taken>, StoreError> {
        let mut session = self.enter(&self.leasing).await?;
        let answer = sqlx::query(self.sql.take.clone())
            .bind(relay.as_uuid())
            .bind(i64::from(limit))
            .fetch_all(session.connection())
            .await;
        let rows = session.finish("take lanes", &self.table, answer)?;
        taken_lanes(&rows)
    }

    pub(super) async fn take_lane_groups(&self, relay: RelayId, groups: &[u8], size: u8, limit: u8) -> Result<Vec<Taken>, StoreError> {
        let mut session = self.enter(&self.leasing).await?;
        let answer = sqlx::query(self.sql.take_groups.clone())
            .bind(relay.as_uuid())
            .bind(groups.iter().map(|group| i16::from(*group)).bind_iter())
            .bind(i16::from(size.max(1)))
            .bind(i64::from(limit))
            .fetch_all(session.connection())
            .await;
        let rows = session.finish("take groups of lanes", &self.table, answer)?;
        taken_lanes(&rows)
    }

    pub(super) async fn release_lanes(&self, relay: RelayId, lanes: &[LaneLease]) -> Result<(), StoreError> {
        self.change_lanes("release lanes", &self.sql.release, relay, lanes).await
    }

    pub(super) async fn forgive_lanes(&self, relay: RelayId, lanes: &[LaneLease]) -> Result<(), StoreError> {
        self.change_lanes("forgive lanes", &self.sql.forgive, relay, lanes).await
    }

    async fn change_lanes(&self, what: &'static str, statement: &SqlStr, relay: RelayId, lanes: &[LaneLease]) -> Result<(), StoreError> {
        let mut session = self.enter(&self.leasing).await?;
        let answer = sqlx::query(statement.clone())
            .bind(relay.as_uuid())
            .bind(lanes.iter().map(|lease| i16::from(lease.lane)).bind_iter())
            .bind(lanes.iter().map(|lease| lease.epoch).bind_iter())
            .execute(session.connection())
            .await;
        session.finish(what, &self.table, answer).map(drop)
    }

    pub(super) async fn forget_relay(&self, relay: RelayId) -> Result<(), StoreError> {
        let mut session = self.enter(&self.leasing).await?;
        let answer = sqlx::query(self.sql.close.clone())
            .bind(relay.as_uuid())
            .execute(session.connection())
            .await;
        session.finish("forget a relay", &self.table, answer)?;
        for session in [&self.reading, &self.acking, &self.leasing] {
            session.close().await;
        }
        Ok(())
    }

    /// Remembers how far ids have gone on this server.
    pub(super) fn remember_highest(&self, batch: &ReadBatch) {
        let Some(id) = batch.late.iter().chain(&batch.fresh).map(|record| record.id).max() else {
            return;
        };
        let mut highest = self.highest.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *highest {
            Some((source, known)) if *source == batch.snapshot.source => *known = id.max(*known),
            other => *other = Some((batch.snapshot.source.clone(), id)),
        }
    }

    /// Refuses a sequence that will give ids again which this relay has seen on this very server.
    fn check_sequence(&self, source: &str, last: Option<i64>) -> Result<(), StoreError> {
        let highest = self.highest.lock().unwrap_or_else(PoisonError::into_inner);
        match &*highest {
            Some((seen_on, seen)) if seen_on == source && last.unwrap_or(0) < *seen => Err(StoreError::new(
                StoreErrorKind::Misconfigured,
                format!(
                    "the id sequence of `{table}` stands at {last}, behind id {seen} that was read: new events would take ids of old ones; run \
                     SELECT setval(pg_get_serial_sequence('{table}', 'id'), {seen})",
                    table = self.table,
                    last = last.unwrap_or(0),
                ),
            )),
            _ => Ok(()),
        }
    }
}

fn lease(row: &PgRow) -> Result<LaneLease, StoreError> {
    let columns = Columns(row);
    let lane = u8::try_from(columns.i16(0)?).map_err(|_| undecodable(0))?;
    Ok(LaneLease::new(lane, columns.i64(1)?))
}

fn taken_lane(row: &PgRow) -> Result<Taken, StoreError> {
    Ok(Taken::new(lease(row)?, u32::try_from(Columns(row).i32(2)?).unwrap_or(0)))
}

fn taken_lanes(rows: &[PgRow]) -> Result<Vec<Taken>, StoreError> {
    let mut taken = rows.iter().map(taken_lane).collect::<Result<Vec<_>, _>>()?;
    taken.sort_unstable_by_key(|taken| taken.lease);
    Ok(taken)
}
