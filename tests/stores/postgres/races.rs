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
use sqlx::Executor;
use sqlx::postgres::PgPoolOptions;

use crate::postgres::order::read_all;
use crate::postgres::support::{Outbox, event, fresh, leases, together, within};

pub(crate) async fn put(outbox: &Outbox, ids: impl IntoIterator<Item = String>) -> Vec<Record> {
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
    /// The same with a look at the lane in place of its locks: the first mutant.
    WithoutLock,
    /// The same with the lock on the lane's row alone: the second.
    WithRowLock,
}

/// Makes each row of the lanes as wide as a page, so that every renewal moves it to another one.
const WIDE: &str = "
    ALTER TABLE outbox_lane ADD COLUMN wide text;
    ALTER TABLE outbox_lane ALTER COLUMN wide SET STORAGE PLAIN;
    UPDATE outbox_lane SET wide = repeat('x', 5000)";

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

    fn none_was_stale(&self) {
        assert_eq!(self.stale.load(Relaxed), 0, "{self:?}");
        let answered = self.changed.load(Relaxed) + self.refused.load(Relaxed);
        assert!(
            self.told_to_repeat.load(Relaxed) * 100 <= answered,
            "few may have to be repeated: {self:?}"
        );
        assert!(
            self.changed.load(Relaxed) > 50 && self.refused.load(Relaxed) > 50,
            "both must happen: {self:?}"
        );
    }
}

async fn race(how: Write, prepare: &str, takeovers: i64) -> Option<Counts> {
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
    outbox.run(prepare).await;
    let relay = RelayId::random();
    let epoch = AtomicI64::new(0);
    let over = AtomicBool::new(false);
    let counts = Counts::default();
    // A relay's heartbeats and takes share a connection, and here they are to meet.
    let taking = eventferry::store::postgres::PostgresStore::new(outbox.database.pool.clone());
    let over_now = format!("UPDATE outbox_lane SET leased_until = now() - interval '1 s' WHERE lane = {lane}");
    let take = || async {
        // A renewal may come between.
        outbox.run(&over_now).await;
        let taken = taking.take(relay, 64).await.unwrap();
        if let Some(taken) = taken.iter().find(|taken| taken.lease.lane == lane) {
            epoch.store(taken.lease.epoch, Relaxed);
        }
    };
    take().await;
    let taker = async {
        while epoch.load(Relaxed) < takeovers && counts.stale.load(Relaxed) == 0 {
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
                    Write::WithoutLock => write(LOOK, outbox, relay, &verdict).await,
                    Write::WithRowLock => write(ROW_LOCK, outbox, relay, &verdict).await,
                };
                counts.note(changed);
            }
        }
    };
    let all = async { tokio::join!(taker, renewer, toucher, together((0..2).map(speaker))) };
    // A mutant's race ends by chance, so its time is longer than most tests need.
    tokio::time::timeout(Duration::from_mins(10), all).await.expect("the race ends");
    Some(counts)
}

/// More takeovers than come about in the time a test has: a mutant's race ends with its first stale verdict.
const MANY: i64 = 1_000_000;

const LOOK: &str = "
    UPDATE outbox SET status = 3, available_at = now(), attempts = attempts + 1, last_error = $5
    WHERE id = $1 AND message_id = $2 AND status IN (0, 1, 3)
        AND EXISTS (SELECT FROM outbox_lane WHERE lane = $3 AND epoch = $4 AND owner = $6)";

const ROW_LOCK: &str = "
    WITH mine AS MATERIALIZED (SELECT lane FROM outbox_lane WHERE lane = $3 AND epoch = $4 AND owner = $6 FOR KEY SHARE)
    UPDATE outbox AS o SET status = 3, available_at = now(), attempts = attempts + 1, last_error = $5
    FROM mine WHERE o.id = $1 AND o.message_id = $2 AND o.status IN (0, 1, 3)";

/// A verdict by other words.
async fn write(statement: &'static str, outbox: &Outbox, relay: RelayId, verdict: &Verdict) -> Result<bool, StoreError> {
    sqlx::query(statement)
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
    let Some(counts) = race(Write::Fail, "", 200).await else { return };
    counts.none_was_stale();
    let Some(counts) = race(Write::WithoutLock, "", MANY).await else {
        return;
    };
    assert!(counts.stale.load(Relaxed) > 0, "the mutant must be caught: {counts:?}");
}

/// `PostgreSQL` loses a FOR KEY SHARE that is taken in the middle of an update which moves the row to another page: `heap_update` gives up
/// its hold of the page, and writes afterwards what it had seen of the row's locks before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_verdict_is_written_under_an_epoch_that_is_over_though_renewals_move_the_row_of_the_lane() {
    let Some(counts) = race(Write::Fail, WIDE, 100).await else { return };
    counts.none_was_stale();
    let Some(counts) = race(Write::WithRowLock, WIDE, MANY).await else {
        return;
    };
    assert!(counts.stale.load(Relaxed) > 0, "the mutant must be caught: {counts:?}");
}

/// A verdict that waits for a row which somebody has locked, when its lease is over: until its end nobody takes the lane, and then its
/// relay has no say in it any more.
async fn taken_meanwhile(outbox: &Outbox, fault: Fault, outcome: VerdictOutcome) {
    // Every verdict of this test that waits has locked its one lane, by the lock that cannot be lost.
    const WAITING: &str = "SELECT count(*) FROM pg_stat_activity AS a JOIN pg_locks AS l ON l.pid = a.pid
                           WHERE a.datname = current_database() AND a.wait_event_type = 'Lock' AND l.granted
                               AND l.locktype = 'advisory' AND l.mode = 'ShareLock' AND l.classid = 'outbox_lane'::regclass AND l.objid = ";
    const OVER: &str = "UPDATE outbox_lane SET leased_until = now() - interval '1 s'";
    let row = read_all(outbox).await.remove(0);
    let (lane, attempts) = (row.lane(), row.attempts);
    let waiting = format!("{WAITING}{lane}");
    let (old, new) = (RelayId::random(), RelayId::random());
    let held = leases(&outbox.store.take(old, 64).await.unwrap());
    let lease = *held.iter().find(|lease| lease.lane == lane).unwrap();
    let other = eventferry::store::postgres::PostgresStore::new(outbox.database.pool.clone());
    let waits = || sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(waiting.clone())).fetch_one(&outbox.database.pool);
    // A verdict waits for a quarter of a second, which is no time to connect in.
    assert!(other.take(new, 0).await.unwrap().is_empty());
    other.renew(new, &[], Doing::Sharing).await.unwrap();
    assert_eq!(waits().await.unwrap(), 0);
    let verdict = |attempts| Verdict::new(row.row(), attempts, lease, fault, OnDead::Continue, "no");
    let mut operator = outbox.begin().await;
    operator.execute("SELECT FROM outbox FOR UPDATE").await.unwrap();
    outbox.run(OVER).await;
    let meanwhile = async {
        while waits().await.unwrap() == 0 {}
        let taken = other.take(new, 64).await.unwrap();
        assert_eq!(taken.len(), 63, "taking waits for nobody");
        assert!(taken.iter().all(|taken| taken.lease.lane != lane));
        assert_eq!(
            other.renew(old, &[lease], Doing::Sharing).await.unwrap().kept,
            [lease],
            "a renewal passes"
        );
        assert_eq!(waits().await.unwrap(), 1, "it waited all the time");
        outbox.commit(operator).await;
    };
    let first = [verdict(attempts)];
    let (outcomes, ()) = within(async { tokio::join!(outbox.store.fail(old, &first), meanwhile) }).await;
    assert_eq!(outcomes.unwrap(), [outcome]);
    outbox.run(OVER).await;
    let taken = other.take(new, 64).await.unwrap();
    assert!(taken.iter().any(|taken| taken.lease.lane == lane), "{taken:?}");
    if outcome != VerdictOutcome::Discarded {
        assert_eq!(
            outbox.store.fail(old, &[verdict(attempts + 1)]).await.unwrap(),
            [VerdictOutcome::LaneLost]
        );
    }
}

#[tokio::test]
async fn a_lane_is_not_taken_while_a_verdict_is_being_written() {
    let outbox = fresh!("outbox");
    put(&outbox, ["42".to_owned()]).await;
    let fault = Fault::Refused {
        delay: Duration::ZERO,
        max_attempts: 2,
    };
    taken_meanwhile(&outbox, fault, VerdictOutcome::Waits { attempts: 1 }).await;
    outbox
        .run(r#"UPDATE outbox SET headers = '{"operator-discard-asked":"somebody"}'; UPDATE outbox_lane SET owner = NULL"#)
        .await;
    taken_meanwhile(&outbox, Fault::Discarded, VerdictOutcome::Discarded).await;
}

/// What holds a verdict's lane is not the lock of the row alone, which can be lost.
#[tokio::test]
async fn a_lane_in_which_a_verdict_is_being_written_is_left_for_the_next_time() {
    let outbox = fresh!("outbox");
    let mut writing = outbox.begin().await;
    writing
        .execute("SELECT pg_advisory_xact_lock_shared('outbox_lane'::regclass::oid::int4, 19)")
        .await
        .unwrap();
    let (alone, grouped) = (RelayId::random(), RelayId::random());
    let taken = leases(&outbox.store.take(alone, 64).await.unwrap());
    assert!(taken.len() == 63 && taken.iter().all(|lease| lease.lane != 19), "{taken:?}");
    outbox.store.release(alone, &taken).await.unwrap();
    let groups: Vec<u8> = (0..8).collect();
    let taken = leases(&outbox.store.take_groups(grouped, &groups, 8, 8).await.unwrap());
    assert!(taken.len() == 56 && taken.iter().all(|lease| lease.lane / 8 != 2), "{taken:?}");
    outbox.commit(writing).await;
    assert_eq!(outbox.store.take_groups(grouped, &groups, 8, 8).await.unwrap().len(), 8);
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
    let one = eventferry::store::postgres::PostgresStore::new(outbox.database.pool.clone());
    // The server looks for a deadlock on behalf of the verdicts, and before their time is up.
    let looking = outbox.database.options.clone().options([("deadlock_timeout", "50ms")]);
    let two = eventferry::store::postgres::PostgresStore::new(PgPoolOptions::new().connect_lazy_with(looking));
    let (mut met, mut repeated) = (0, 0);
    while met < 20 {
        outbox.run("UPDATE outbox SET status = 0, attempts = 0").await;
        let (acked, failed) = within(async { tokio::join!(one.done(&names, Retention::default()), two.fail(relay, &verdicts)) }).await;
        // What was locked for too long, where the machine stood still.
        let left = acked.unwrap();
        assert_eq!(within(one.done(&left, Retention::default())).await.unwrap(), []);
        if let Err(error) = failed {
            assert_eq!(error.kind(), StoreErrorKind::Contention, "{error:?}");
            assert!(!format!("{error:?}").contains("40P01"), "a deadlock: {error:?}");
            repeated += 1;
            assert!(repeated < 20, "{error:?}");
        } else {
            met += 1;
        }
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
    outbox.run("UPDATE outbox_meta SET lease_ms = 6000").await;
    let mut operator = outbox.begin().await;
    operator.execute("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let error = within(outbox.store.read(None, &[LaneRead::new(0, 0, 1)])).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Contention, "{error:?}");
    outbox.rollback(operator).await;
    assert!(within(outbox.store.read(None, &[LaneRead::new(0, 0, 1)])).await.is_ok());
}
