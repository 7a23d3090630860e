//! Verdicts against takeovers, acks against other people's locks, and connections that die.

use std::future::Future;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use eventferry::outbox::{LaneLease, OnDead, Record, Status};
use eventferry::store::{
    Doing, Fault, LaneRead, OpenTransaction, RelayId, Retention, Store, StoreError, StoreErrorKind, Verdict, VerdictOutcome,
};
use eventferry::testing::conformance::store::Harness;
use sqlx::{Executor, Row};

use crate::postgres::order::read_all;
use crate::postgres::support::{Outbox, event, fresh, leases, together, within};

async fn put(outbox: &Outbox, ids: impl IntoIterator<Item = String>) -> Vec<Record> {
    let mut tx = outbox.begin().await;
    tx.insert(&outbox.table, ids.into_iter().map(|id| event(&id)).collect())
        .await
        .unwrap();
    outbox.commit(tx).await;
    read_all(outbox).await
}

/// Raises an error at every verdict whose epoch, which it carries as its error text, is not the lane's own at that moment.
const STALE: &str = "
    CREATE FUNCTION stale() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.last_error::int8 <> (SELECT epoch FROM outbox_lane WHERE lane = OLD.lane) THEN
            RAISE EXCEPTION 'stale' USING ERRCODE = 'XX001';
        END IF;
        -- Each verdict shall be a new one.
        NEW.attempts := 0;
        RETURN NEW;
    END $$;
    CREATE TRIGGER stale BEFORE UPDATE ON outbox FOR EACH ROW EXECUTE FUNCTION stale()";

/// How a verdict is written.
#[derive(Clone, Copy)]
enum Write {
    Fail,
    /// The same with a look at the lane in place of its lock: the mutant.
    WithoutLock,
}

/// What came of the verdicts while the lane was taken again and again.
#[derive(Debug, Default)]
struct Counts {
    changed: AtomicU32,
    refused: AtomicU32,
    told_to_repeat: AtomicU32,
    stale: AtomicU32,
    last: Mutex<Option<StoreError>>,
}

impl Counts {
    fn note(&self, changed: Result<bool, StoreError>) {
        let count = match changed {
            Ok(true) => &self.changed,
            Ok(false) => &self.refused,
            // The trigger's own error is neither of these two, with which a busy server asks to repeat.
            Err(error) => {
                let repeat = matches!(error.kind(), StoreErrorKind::Contention | StoreErrorKind::Unavailable);
                *self.last.lock().unwrap() = Some(error);
                if repeat { &self.told_to_repeat } else { &self.stale }
            }
        };
        count.fetch_add(1, Relaxed);
    }
}

async fn race(how: Write, takeovers: i64) -> Option<Counts> {
    let outbox = Outbox::fresh("outbox").await?;
    let rows = put(&outbox, (0..10).map(|n| format!("race-{n}"))).await;
    let lane = rows[0].lane();
    let rows: Vec<Record> = rows
        .into_iter()
        .map(|mut row| {
            // One lane for all, so that every verdict meets every takeover.
            row.order_key = i64::from(lane);
            row
        })
        .collect();
    outbox.run(&format!("UPDATE outbox SET order_key = {lane}")).await;
    outbox.run(STALE).await;
    let relay = RelayId::random();
    let epoch = AtomicI64::new(0);
    let over = AtomicBool::new(false);
    let counts = Counts::default();
    let take = || async {
        let taken = sqlx::query(
            "UPDATE outbox_lane SET owner = $1, epoch = epoch + 1, leased_until = now() + interval '5 s'
             WHERE lane IN (SELECT lane FROM outbox_lane WHERE lane = $2 FOR UPDATE SKIP LOCKED) RETURNING epoch",
        )
        .bind(relay.as_uuid())
        .bind(i16::from(lane))
        .fetch_optional(&outbox.database.pool)
        .await
        .unwrap();
        if let Some(row) = taken {
            epoch.store(row.get(0), Relaxed);
        }
    };
    take().await;
    let taker = async {
        while epoch.load(Relaxed) < takeovers {
            take().await;
            outbox.database.pool.execute("SELECT pg_sleep(0.002)").await.unwrap();
        }
        over.store(true, Relaxed);
    };
    let renewer = async {
        while !over.load(Relaxed) {
            let lease = LaneLease::new(lane, epoch.load(Relaxed));
            outbox.store.renew(relay, &[lease], Doing::Sharing).await.unwrap();
        }
    };
    // Somebody else's row locks, so that verdicts have to wait between their look at the lane and their write.
    let toucher = async {
        let mut random = fastrand::Rng::with_seed(99);
        while !over.load(Relaxed) {
            let id = rows[random.usize(..rows.len())].id;
            let text = format!("BEGIN; SELECT FROM outbox WHERE id = {id} FOR UPDATE; SELECT pg_sleep(0.004); COMMIT");
            outbox
                .database
                .pool
                .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(text)))
                .await
                .unwrap();
        }
    };
    let speaker = |seed| {
        let (outbox, rows, epoch, over, counts) = (&outbox, &rows, &epoch, &over, &counts);
        async move {
            let store = eventferry::store::postgres::PostgresStore::new(outbox.database.pool.clone());
            let mut random = fastrand::Rng::with_seed(seed);
            while !over.load(Relaxed) {
                let epoch = epoch.load(Relaxed) - i64::from(random.u8(0..10) < 3);
                let row = &rows[random.usize(..rows.len())];
                let fault = Fault::Refused {
                    delay: Duration::ZERO,
                    max_attempts: 0,
                };
                let verdict = Verdict::new(
                    row.row(),
                    0,
                    LaneLease::new(lane, epoch),
                    fault,
                    OnDead::Continue,
                    epoch.to_string(),
                );
                let changed = match how {
                    Write::Fail => store
                        .fail(relay, &[verdict])
                        .await
                        .map(|outcomes| outcomes[0] != VerdictOutcome::LaneLost),
                    Write::WithoutLock => without_lock(outbox, relay, &verdict).await,
                };
                counts.note(changed);
            }
        }
    };
    within(async { tokio::join!(taker, renewer, toucher, together((0..4).map(speaker))) }).await;
    Some(counts)
}

async fn without_lock(outbox: &Outbox, relay: RelayId, verdict: &Verdict) -> Result<bool, StoreError> {
    sqlx::query(
        "UPDATE outbox SET status = 3, available_at = now(), attempts = attempts + 1, last_error = $5
         WHERE id = $1 AND message_id = $2 AND status IN (0, 1, 3)
            AND EXISTS (SELECT FROM outbox_lane WHERE lane = $3 AND epoch = $4 AND owner = $6)",
    )
    .bind(verdict.row.id)
    .bind(uuid::Uuid::from(verdict.row.message_id))
    .bind(i16::from(verdict.lease.lane))
    .bind(verdict.lease.epoch)
    .bind(&verdict.error)
    .bind(relay.as_uuid())
    .execute(&outbox.database.pool)
    .await
    .map(|done| done.rows_affected() == 1)
    .map_err(|_| StoreError::new(StoreErrorKind::Database, "stale"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_verdict_is_written_under_an_epoch_that_is_over_and_some_are_without_the_lock() {
    let Some(counts) = race(Write::Fail, 300).await else { return };
    let stale = counts.stale.load(Relaxed);
    assert_eq!(stale, 0, "{counts:?}");
    let answered = counts.changed.load(Relaxed) + counts.refused.load(Relaxed);
    assert!(
        counts.told_to_repeat.load(Relaxed) * 1_000 <= answered,
        "next to none may have to be repeated: {counts:?}"
    );
    assert!(
        counts.changed.load(Relaxed) > 50 && counts.refused.load(Relaxed) > 50,
        "both must happen: {counts:?}"
    );
    let Some(counts) = race(Write::WithoutLock, 300).await else {
        return;
    };
    assert!(counts.stale.load(Relaxed) > 0, "the mutant must be caught: {counts:?}");
}

/// A verdict that waits for a row which somebody has locked, when its lease is over: until its end nobody takes the lane, and then its
/// relay has no say in it any more.
#[tokio::test]
async fn a_lane_is_not_taken_while_a_verdict_is_being_written() {
    const WAITING: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
                           AND query LIKE '-- Record verdicts%'";
    const OVER: &str = "UPDATE outbox_lane SET leased_until = now() - interval '1 s'";
    let outbox = fresh!("outbox");
    let rows = put(&outbox, ["42".to_owned()]).await;
    let lane = rows[0].lane();
    let (old, new) = (RelayId::random(), RelayId::random());
    let held = leases(&outbox.store.take(old, 64).await.unwrap());
    let lease = *held.iter().find(|lease| lease.lane == lane).unwrap();
    let other = eventferry::store::postgres::PostgresStore::new(outbox.database.pool.clone());
    let fault = Fault::Refused {
        delay: Duration::ZERO,
        max_attempts: 2,
    };
    let verdict = |attempts| Verdict::new(rows[0].row(), attempts, lease, fault, OnDead::Continue, "no");
    let mut operator = outbox.begin().await;
    operator.execute("SELECT FROM outbox FOR UPDATE").await.unwrap();
    outbox.run(OVER).await;
    let meanwhile = async {
        let waits = || sqlx::query_scalar::<_, i64>(WAITING).fetch_one(&outbox.database.pool);
        while waits().await.unwrap() == 0 {}
        let taken = other.take(new, 64).await.unwrap();
        assert_eq!(taken.len(), 63, "taking waits for nobody");
        assert!(taken.iter().all(|taken| taken.lease.lane != lane));
        assert_eq!(
            other.renew(old, &[lease], Doing::Sharing).await.unwrap().kept,
            [lease],
            "a renewal passes"
        );
        // Whoever changes the epoch waits, also by other words than `take` has.
        let by_hand = format!("SET LOCAL lock_timeout = '50ms'; UPDATE outbox_lane SET epoch = epoch + 1 WHERE lane = {lane}");
        let by_hand = sqlx::raw_sql(sqlx::AssertSqlSafe(by_hand));
        let error = outbox.database.pool.execute(by_hand).await.unwrap_err();
        assert_eq!(
            error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref(),
            Some("55P03"),
            "{error}"
        );
        assert_eq!(waits().await.unwrap(), 1, "it waited all the time");
        outbox.commit(operator).await;
    };
    let first = [verdict(0)];
    let (outcomes, ()) = within(async { tokio::join!(outbox.store.fail(old, &first), meanwhile) }).await;
    assert_eq!(outcomes.unwrap(), [VerdictOutcome::Waits { attempts: 1 }]);
    outbox.run(OVER).await;
    let taken = other.take(new, 64).await.unwrap();
    assert!(taken.iter().any(|taken| taken.lease.lane == lane), "{taken:?}");
    assert_eq!(outbox.store.fail(old, &[verdict(1)]).await.unwrap(), [VerdictOutcome::LaneLost]);
}

/// A relay's take that was begun before another one's, and reaches the row after it: what the other has just taken is not expired.
#[tokio::test]
async fn a_lease_taken_a_moment_ago_is_not_seen_as_one_from_the_future() {
    let outbox = fresh!("outbox");
    let stores: Vec<_> = (0..6)
        .map(|_| {
            (
                RelayId::random(),
                eventferry::store::postgres::PostgresStore::new(outbox.database.pool.clone()),
            )
        })
        .collect();
    for round in 0..200 {
        let taken = within(together(stores.iter().map(|(relay, store)| store.take(*relay, 64)))).await;
        let taken: Vec<_> = taken.into_iter().map(Result::unwrap).collect();
        let lanes: usize = taken.iter().map(Vec::len).sum();
        assert_eq!(lanes, 64, "round {round}: each lane once");
        for ((relay, store), taken) in stores.iter().zip(&taken) {
            store.release(*relay, &leases(taken)).await.unwrap();
        }
    }
}

/// An operator's open UPDATE on one row must not stop the acks of the others.
#[tokio::test]
async fn an_ack_goes_round_a_row_that_somebody_has_locked() {
    for retention in [Retention::default(), Retention::Delete] {
        let outbox = fresh!("outbox");
        outbox.run("UPDATE outbox_meta SET lease_ms = 900").await;
        let rows = put(&outbox, (0..10).map(|n| n.to_string())).await;
        let names: Vec<_> = rows.iter().map(Record::row).collect();
        let mut operator = outbox.begin().await;
        operator
            .execute(sqlx::AssertSqlSafe(format!(
                "UPDATE outbox SET last_error = 'x' WHERE id = {}",
                rows[4].id
            )))
            .await
            .unwrap();
        let error = within(outbox.store.done(&names, retention)).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Contention);
        let left = |status: &Option<Status>| matches!(status, Some(Status::Pending));
        let statuses = outbox.store.look_up(&names).await.unwrap();
        assert_eq!(statuses.iter().filter(|status| left(status)).count(), 1, "{statuses:?}");
        assert!(left(&statuses[4]));
        outbox.commit(operator).await;
        within(outbox.store.done(&names, retention)).await.unwrap();
        assert!(!outbox.store.look_up(&names).await.unwrap().iter().any(left));
    }
}

/// Acks of the same rows in opposite orders, by two relays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acks_and_verdicts_of_the_same_rows_do_not_deadlock() {
    let outbox = fresh!("outbox");
    let rows = put(&outbox, (0..200).map(|n| n.to_string())).await;
    let relay = RelayId::random();
    let held = leases(&outbox.store.take(relay, 64).await.unwrap());
    let mut names: Vec<_> = rows.iter().map(Record::row).collect();
    names.reverse();
    let fault = Fault::Refused {
        delay: Duration::ZERO,
        max_attempts: 0,
    };
    let verdict = |row: &Record| Verdict::new(row.row(), 0, held[usize::from(row.lane())], fault, OnDead::Continue, "no");
    let verdicts: Vec<_> = rows.iter().map(verdict).collect();
    let (one, two) = (
        eventferry::store::postgres::PostgresStore::new(outbox.database.pool.clone()),
        eventferry::store::postgres::PostgresStore::new(outbox.database.pool.clone()),
    );
    for _ in 0..20 {
        outbox.run("UPDATE outbox SET status = 0, attempts = 0").await;
        let (acked, failed) = within(async { tokio::join!(one.done(&names, Retention::default()), two.fail(relay, &verdicts)) }).await;
        acked.unwrap();
        failed.unwrap();
    }
    let statuses = outbox.store.look_up(&names).await.unwrap();
    assert!(
        statuses.iter().all(|status| *status == Some(Status::Done)),
        "a delivery always counts"
    );
}

async fn end_sessions(outbox: &Outbox) {
    let ended: i64 = sqlx::query_scalar(
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE application_name LIKE 'eventferry %' AND datname = current_database()",
    )
    .fetch_one(&outbox.database.pool)
    .await
    .unwrap();
    assert!(ended > 0);
}

#[tokio::test]
async fn a_connection_that_died_is_unavailable_once_and_made_again_under_another_number() {
    let outbox = fresh!("outbox");
    let rows = put(&outbox, ["42".to_owned()]).await;
    let lane = [LaneRead::new(rows[0].lane(), 0, 10)];
    let before = outbox.store.read(None, &lane).await.unwrap().snapshot;
    end_sessions(&outbox).await;
    let error = within(outbox.store.read(None, &lane)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
    let after = within(outbox.store.read(None, &lane)).await.unwrap();
    assert_eq!(after.snapshot.source, before.source, "the same server");
    assert_ne!(after.snapshot.connection, before.connection, "another connection");
    assert_eq!(after.fresh, rows);
}

#[tokio::test]
async fn a_read_that_is_dropped_half_way_costs_its_connection_and_nothing_else() {
    let outbox = fresh!("outbox");
    let rows = put(&outbox, (0..200).map(|n| n.to_string())).await;
    let lanes: Vec<_> = (0..64).map(|lane| LaneRead::new(lane, 0, 100)).collect();
    let mut dropped = 0;
    for polls in (1..=3).cycle().take(45) {
        let mut reading = Box::pin(outbox.store.read(None, &lanes));
        let mut left = polls;
        let answer = std::future::poll_fn(|context| {
            left -= 1;
            match reading.as_mut().poll(context) {
                std::task::Poll::Pending if left > 0 => std::task::Poll::Pending,
                std::task::Poll::Pending => std::task::Poll::Ready(None),
                std::task::Poll::Ready(batch) => std::task::Poll::Ready(Some(batch)),
            }
        })
        .await;
        dropped += u32::from(answer.is_none());
        drop(reading);
        let whole = within(outbox.store.read(None, &lanes)).await.unwrap();
        assert_eq!(whole.fresh.len(), rows.len(), "an answer is whole");
    }
    // A server that answers at once leaves nothing to drop, so how many is not ours to say.
    assert!(dropped > 0);
}

/// A transaction that cannot go on says so, and the connection is not handed out half broken.
#[tokio::test]
async fn a_statement_that_waits_too_long_is_contention() {
    let outbox = fresh!("outbox");
    outbox.run("UPDATE outbox_meta SET lease_ms = 600").await;
    let mut operator = outbox.begin().await;
    operator.execute("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let error = within(outbox.store.read(None, &[LaneRead::new(0, 0, 1)])).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Contention, "{error:?}");
    outbox.rollback(operator).await;
    assert!(within(outbox.store.read(None, &[LaneRead::new(0, 0, 1)])).await.is_ok());
}
