//! Retention.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::clock::duration_micros;
use crate::store::StoreError;
use crate::store::postgres::PostgresStore;
use crate::store::postgres::row::Columns;

/// No row is older than this (a thousand years); more would leave PostgreSQL's range of times.
pub(super) const AGE_MAX_MICROS: i64 = 31_557_600_000_000_000;
/// How many stretches of rows that are all unsettled or dead one call passes at most.
const STRETCHES: usize = 20;
/// How many rows a statement looks at for each that it may delete; the same number stands in `purge.sql`.
const LOOKED_AT: u64 = 10;

/// What one stretch of rows held.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    deleted: u64,
    last_deleted: Option<i64>,
    looked_at: u64,
    last_seen: Option<i64>,
    any_done: bool,
}

impl Stretch {
    /// After which id the next stretch begins; 0 is the start of the table.
    ///
    /// Rows are delivered roughly in the order of their ids, so where delivered rows are still too young, so are those that follow.
    fn next(&self, limit: u32) -> i64 {
        if self.deleted >= u64::from(limit) {
            return self.last_deleted.unwrap_or(0);
        }
        let at_the_end = self.looked_at < u64::from(limit) * LOOKED_AT;
        let too_young = self.deleted == 0 && self.any_done;
        if at_the_end || too_young { 0 } else { self.last_seen.unwrap_or(0) }
    }
}

impl PostgresStore {
    /// Goes on where the last call ended: there is no index over delivered rows, since every ack would pay for it.
    pub(super) async fn purge_done(&self, older_than: Duration, limit: u32) -> Result<u64, StoreError> {
        if limit == 0 {
            return Ok(0);
        }
        for _ in 0..STRETCHES {
            let stretch = self.purge_stretch(older_than, limit, self.purged_to.load(Relaxed)).await?;
            let next = stretch.next(limit);
            self.purged_to.store(next, Relaxed);
            if stretch.deleted > 0 || next == 0 {
                return Ok(stretch.deleted);
            }
        }
        Ok(0)
    }

    async fn purge_stretch(&self, older_than: Duration, limit: u32, after: i64) -> Result<Stretch, StoreError> {
        let mut session = self.enter(&self.acking).await?;
        let answer = sqlx::query(self.sql.purge.clone())
            .bind(duration_micros(older_than).min(AGE_MAX_MICROS))
            .bind(i64::from(limit))
            .bind(after)
            .fetch_one(session.connection())
            .await;
        let row = session.finish("purge delivered rows", &self.table, answer)?;
        let columns = Columns(&row);
        Ok(Stretch {
            deleted: columns.i64(0)?.unsigned_abs(),
            last_deleted: columns.maybe_i64(1)?,
            looked_at: columns.i64(2)?.unsigned_abs(),
            last_seen: columns.maybe_i64(3)?,
            any_done: columns.bool(4)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(deleted: u64, looked_at: u64, any_done: bool) -> Stretch {
        Stretch {
            deleted,
            last_deleted: (deleted > 0).then_some(40),
            looked_at,
            last_seen: (looked_at > 0).then_some(50),
            any_done,
        }
    }

    #[test]
    fn a_purge_goes_on_where_there_may_be_more() {
        assert_eq!(stretch(5, 50, true).next(5), 40, "as many as were allowed: go on behind them");
        assert_eq!(stretch(2, 50, true).next(5), 50, "all of this stretch");
        assert_eq!(stretch(0, 50, false).next(5), 50, "nothing but dead or unsettled rows");
    }

    #[test]
    fn a_purge_starts_over_where_there_is_no_more() {
        assert_eq!(stretch(0, 50, true).next(5), 0, "delivered, but too young");
        assert_eq!(stretch(2, 49, true).next(5), 0, "the end of the table");
        assert_eq!(stretch(0, 0, false).next(5), 0, "an empty table");
    }
}
