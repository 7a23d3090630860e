//! Retention.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use crate::clock::duration_micros;
use crate::store::StoreError;
use crate::store::postgres::PostgresStore;
use crate::store::postgres::row::Columns;

/// No row is older than this (a thousand years); more would leave PostgreSQL's range of times.
pub(super) const AGE_MAX_MICROS: i64 = 31_557_600_000_000_000;
/// How many stretches without a row to delete one call passes at most.
const STRETCHES: usize = 100;
/// How many rows a statement looks at for each that it may delete; the same number stands in `purge.sql`.
const LOOKED_AT: u32 = 10;
/// How many ids a stretch spans for each row that may be deleted. Purged rows stay in the index until it is vacuumed, and a statement steps over
/// each of them.
const SPANNED: i64 = 40;
/// A stretch without rows that took no longer than this was a gap in the ids: the next one may be twice as wide.
const QUICK: Duration = Duration::from_millis(20);

/// How far the table was gone through. Every call goes on where the last one ended: there is no index over delivered rows, since every ack would
/// pay for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sweep {
    after: i64,
    /// By how much the stretch is wider than usual: a power of two.
    wider: u32,
}

/// What one stretch of rows held.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    deleted: u32,
    last_deleted: Option<i64>,
    looked_at: u32,
    last_seen: Option<i64>,
    any_done: bool,
    /// The highest id there is.
    last_id: i64,
    took: Duration,
}

impl Sweep {
    /// Up to which id the next stretch goes.
    fn until(self, limit: u32) -> i64 {
        let span = (i64::from(limit) * SPANNED).saturating_mul(1 << self.wider);
        self.after.saturating_add(span)
    }

    /// Where the next stretch begins; the start of the table after its end.
    ///
    /// Rows are delivered roughly in the order of their ids, so where delivered rows are still too young, so are those that follow.
    fn next(self, stretch: &Stretch, limit: u32) -> Self {
        let full = stretch.looked_at >= limit.saturating_mul(LOOKED_AT);
        let too_young = stretch.deleted == 0 && stretch.any_done;
        let after = if stretch.deleted >= limit {
            stretch.last_deleted
        } else if too_young {
            None
        } else if full {
            stretch.last_seen
        } else {
            Some(self.until(limit)).filter(|until| *until < stretch.last_id)
        };
        let gap = stretch.looked_at == 0 && stretch.took <= QUICK;
        Self {
            after: after.unwrap_or(0),
            wider: if gap && after.is_some() { (self.wider + 1).min(62) } else { 0 },
        }
    }
}

impl PostgresStore {
    pub(super) async fn purge_done(&self, older_than: Duration, limit: u32) -> Result<u64, StoreError> {
        if limit == 0 {
            return Ok(0);
        }
        for _ in 0..STRETCHES {
            let sweep = *self.sweep.lock().unwrap_or_else(PoisonError::into_inner);
            let stretch = self.purge_stretch(older_than, limit, sweep).await?;
            let next = sweep.next(&stretch, limit);
            *self.sweep.lock().unwrap_or_else(PoisonError::into_inner) = next;
            if stretch.deleted > 0 || next.after == 0 {
                return Ok(stretch.deleted.into());
            }
        }
        Ok(0)
    }

    async fn purge_stretch(&self, older_than: Duration, limit: u32, sweep: Sweep) -> Result<Stretch, StoreError> {
        let mut session = self.enter(&self.acking).await?;
        let began = Instant::now();
        let answer = sqlx::query(self.sql.purge.clone())
            .bind(duration_micros(older_than).min(AGE_MAX_MICROS))
            .bind(i64::from(limit))
            .bind(sweep.after)
            .bind(sweep.until(limit))
            .fetch_one(session.connection())
            .await;
        let took = began.elapsed();
        let row = session.finish("purge delivered rows", &self.table, answer)?;
        let columns = Columns(&row);
        let count = |column| columns.i64(column).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        Ok(Stretch {
            deleted: count(0)?,
            last_deleted: columns.maybe_i64(1)?,
            looked_at: count(2)?,
            last_seen: columns.maybe_i64(3)?,
            any_done: columns.bool(4)?,
            last_id: columns.maybe_i64(5)?.unwrap_or(0),
            took,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u32 = 5;

    fn stretch(deleted: u32, looked_at: u32, any_done: bool) -> Stretch {
        Stretch {
            deleted,
            last_deleted: (deleted > 0).then_some(40),
            looked_at,
            last_seen: (looked_at > 0).then_some(50),
            any_done,
            last_id: 1_000_000,
            took: Duration::from_millis(1),
        }
    }

    fn next(stretch: &Stretch) -> i64 {
        Sweep::default().next(stretch, LIMIT).after
    }

    #[test]
    fn a_purge_goes_on_where_there_may_be_more() {
        assert_eq!(next(&stretch(5, 50, true)), 40, "as many as were allowed: go on behind them");
        assert_eq!(next(&stretch(2, 50, true)), 50, "as many rows as one statement looks at");
        assert_eq!(next(&stretch(0, 50, false)), 50, "nothing but dead or unsettled rows");
        assert_eq!(next(&stretch(2, 49, true)), 200, "all the rows of this stretch of ids");
        assert_eq!(next(&stretch(0, 0, false)), 200, "there were none");
    }

    #[test]
    fn a_purge_starts_over_where_there_is_no_more() {
        assert_eq!(next(&stretch(0, 50, true)), 0, "delivered, but too young");
        for stretch in [stretch(2, 49, true), stretch(0, 0, false)] {
            assert_eq!(next(&Stretch { last_id: 200, ..stretch }), 0, "the end of the table");
        }
    }

    #[test]
    fn a_gap_in_the_ids_is_passed_in_few_steps_and_purged_rows_in_small_ones() {
        let last_id = i64::MAX - 7;
        let empty = |took| Stretch {
            last_id,
            took,
            ..stretch(0, 0, false)
        };
        let (mut sweep, mut steps) = (Sweep::default(), 0);
        while steps == 0 || sweep.after != 0 {
            sweep = sweep.next(&empty(QUICK), LIMIT);
            steps += 1;
        }
        assert!(steps < STRETCHES, "{steps}");
        let wide = Sweep { after: 7, wider: 3 };
        assert_eq!(wide.until(LIMIT), 7 + 8 * 200);
        assert_eq!(wide.next(&empty(2 * QUICK), LIMIT), Sweep { after: 1607, wider: 0 });
        assert_eq!(wide.next(&stretch(1, 1, true), LIMIT), Sweep { after: 1607, wider: 0 });
    }
}
