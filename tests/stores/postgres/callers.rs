//! Callers of every isolation level, with savepoints, deadlocks and transactions of two phases.

use std::sync::Mutex;
use std::time::Duration;

use eventferry::MessageId;
use eventferry::outbox::order_key;
use eventferry::store::{OpenTransaction, Receipt, StoreError, StoreErrorKind};
use eventferry::testing::conformance::store::Harness;
use fastrand::Rng;
use sqlx::{AssertSqlSafe, Executor, Postgres, Transaction};

use crate::postgres::locks::locks_held;
use crate::postgres::order::{position, read_all};
use crate::postgres::support::{Outbox, event, fresh, together, within};

const LEVELS: [&str; 3] = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"];

async fn begin(outbox: &Outbox, level: &str) -> Transaction<'static, Postgres> {
    let mut tx = outbox.begin().await;
    // Its snapshot is taken now: everything that follows is news to a level that freezes it.
    let text = format!("SET TRANSACTION ISOLATION LEVEL {level}; SET LOCAL deadlock_timeout = '50ms'; SELECT count(*) FROM outbox_meta");
    tx.execute(sqlx::raw_sql(AssertSqlSafe(text))).await.unwrap();
    tx
}

async fn enqueue(outbox: &Outbox, tx: &mut Transaction<'static, Postgres>, ids: &[String]) -> Result<Vec<Receipt>, StoreError> {
    tx.insert(&outbox.table, ids.iter().map(|id| event(id)).collect()).await
}

fn slots(ids: &[String]) -> Vec<i64> {
    let mut slots: Vec<i64> = ids.iter().map(|id| order_key("order", id) & 4095).collect();
    slots.sort_unstable();
    slots.dedup();
    slots
}

/// One transaction writes some events and stays open; a second one writes to the last of its aggregates.
async fn overlap(outbox: &Outbox, first: &str, second: &str, events: usize) {
    let case = format!("{first}, then {second}, {events} events");
    let ids: Vec<String> = (0..events).map(|n| format!("{case}, {n}")).collect();
    let last = ids.last().unwrap().clone();
    let mut early = begin(outbox, first).await;
    let mut late = begin(outbox, second).await;
    let received = enqueue(outbox, &mut early, &ids).await.unwrap();
    assert_eq!(locks_held(&mut early).await, slots(&ids), "{case}");
    let again = [last];
    let mut waiting = Box::pin(enqueue(outbox, &mut late, &again));
    let waits = tokio::time::timeout(Duration::from_millis(400), &mut waiting).await.is_err();
    assert!(waits, "{case}: the second drew an id before the first had ended");
    outbox.commit(early).await;
    let answer = within(waiting).await.unwrap();
    outbox.commit(late).await;
    let highest = received.into_iter().map(position).max().unwrap();
    assert!(position(answer[0]) > highest, "{case}");
}

#[tokio::test]
async fn at_every_isolation_level_ids_follow_the_commits() {
    let outbox = fresh!("outbox");
    let cases = LEVELS
        .iter()
        .flat_map(|first| LEVELS.iter().flat_map(move |second| [(*first, *second, 1), (*first, *second, 5)]));
    together(cases.map(|(first, second, events)| overlap(&outbox, first, second, events))).await;
    assert_eq!(read_all(&outbox).await.len(), 9 * 2 + 9 * 6);
}

/// What a service would write beside its events: one row for each transaction.
async fn business_table(outbox: &Outbox) {
    outbox.run("CREATE TABLE business (name text PRIMARY KEY)").await;
}

async fn do_business(tx: &mut Transaction<'static, Postgres>, name: &str) {
    sqlx::query("INSERT INTO business VALUES ($1)")
        .bind(name)
        .execute(&mut **tx)
        .await
        .unwrap();
}

async fn business_done(outbox: &Outbox) -> Vec<String> {
    sqlx::query_scalar("SELECT name FROM business ORDER BY name")
        .fetch_all(&outbox.database.pool)
        .await
        .unwrap()
}

/// Two callers enqueue for x and y in opposite order. One of them is told to repeat; nothing of it is left, and repeated it succeeds.
#[tokio::test]
async fn a_deadlock_of_two_callers_is_a_retryable_error_and_leaves_nothing_half_written() {
    for level in LEVELS {
        let outbox = fresh!("outbox");
        business_table(&outbox).await;
        let (x, y) = (["x".to_owned()], ["y".to_owned()]);
        let (mut one, mut other) = (begin(&outbox, level).await, begin(&outbox, level).await);
        do_business(&mut one, "one").await;
        do_business(&mut other, "other").await;
        enqueue(&outbox, &mut one, &x).await.unwrap();
        enqueue(&outbox, &mut other, &y).await.unwrap();
        let both = async { tokio::join!(enqueue(&outbox, &mut one, &y), enqueue(&outbox, &mut other, &x)) };
        // The server ends one of them, which frees what it held: both answers come.
        let (one_answer, other_answer) = within(both).await;
        let (victim, winner, error, name, order) = match (one_answer, other_answer) {
            (Err(error), Ok(_)) => (one, other, error, "one", [&x, &y]),
            (Ok(_), Err(error)) => (other, one, error, "other", [&y, &x]),
            both => panic!("{level}: {both:?}"),
        };
        assert_eq!(
            (error.kind(), error.is_retryable()),
            (StoreErrorKind::Contention, true),
            "{level}: {error}"
        );
        assert!(error.to_string().contains("roll back and repeat the transaction"), "{error}");
        outbox.rollback(victim).await;
        outbox.commit(winner).await;
        assert_eq!(
            (business_done(&outbox).await.len(), read_all(&outbox).await.len()),
            (1, 2),
            "{level}"
        );
        let mut again = begin(&outbox, level).await;
        do_business(&mut again, name).await;
        for ids in order {
            enqueue(&outbox, &mut again, ids).await.unwrap();
        }
        outbox.commit(again).await;
        assert_eq!(
            (business_done(&outbox).await, read_all(&outbox).await.len()),
            (vec!["one".to_owned(), "other".to_owned()], 4)
        );
    }
}

/// A caller with a savepoint before its enqueue need not repeat what it did before.
#[tokio::test]
async fn a_deadlock_behind_a_savepoint_costs_only_what_came_after_it() {
    let outbox = fresh!("outbox");
    business_table(&outbox).await;
    let (x, y) = (["x".to_owned()], ["y".to_owned()]);
    let mut other = outbox.begin().await;
    // The caller looks for the deadlock first, so it is the one that is ended.
    other.execute("SET LOCAL deadlock_timeout = '30s'").await.unwrap();
    let mut tx = outbox.begin().await;
    do_business(&mut tx, "kept").await;
    tx.execute("SAVEPOINT before").await.unwrap();
    enqueue(&outbox, &mut other, &y).await.unwrap();
    enqueue(&outbox, &mut tx, &x).await.unwrap();
    let mut waiting = Box::pin(enqueue(&outbox, &mut other, &x));
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut waiting).await.is_err());
    let error = within(enqueue(&outbox, &mut tx, &y)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Contention);
    tx.execute("ROLLBACK TO before").await.unwrap();
    within(waiting).await.unwrap();
    outbox.commit(other).await;
    let both = [x[0].clone(), y[0].clone()];
    enqueue(&outbox, &mut tx, &both).await.unwrap();
    outbox.commit(tx).await;
    assert_eq!(
        (business_done(&outbox).await, read_all(&outbox).await.len()),
        (vec!["kept".to_owned()], 4)
    );
}

/// What one caller committed: for each aggregate, which number it drew there after its enqueue, and its message ids there.
type Committed = Mutex<Vec<(String, i64, MessageId)>>;

/// Transactions of all levels over six aggregates, in any order, each with a counter for each aggregate that says in which order they
/// committed. Whoever is told to repeat repeats.
async fn call(outbox: &Outbox, seed: u64, committed: &Committed) -> u32 {
    let mut random = Rng::with_seed(seed);
    let mut repeated = 0;
    for n in 0..40 {
        loop {
            match attempt(outbox, &mut random, &format!("{seed}/{n}")).await {
                Some(done) => {
                    committed.lock().unwrap().extend(done);
                    break;
                }
                None => repeated += 1,
            }
        }
    }
    repeated
}

async fn attempt(outbox: &Outbox, random: &mut Rng, name: &str) -> Option<Vec<(String, i64, MessageId)>> {
    let level = LEVELS[random.usize(..3)];
    let mut ids: Vec<String> = (0..6).map(|n| format!("a{n}")).collect();
    random.shuffle(&mut ids);
    ids.truncate(random.usize(1..4));
    let mut tx = begin(outbox, level).await;
    do_business(&mut tx, name).await;
    let mut written = Vec::new();
    let together = random.bool();
    let calls: Vec<&[String]> = if together { vec![&ids] } else { ids.chunks(1).collect() };
    for call in calls {
        let savepoint = random.u8(0..5);
        if savepoint == 0 {
            tx.execute("SAVEPOINT s").await.unwrap();
            let taken_back = enqueue(outbox, &mut tx, call).await;
            if told_to_repeat(taken_back.err(), level) {
                outbox.rollback(tx).await;
                return None;
            }
            tx.execute("ROLLBACK TO s").await.unwrap();
        }
        match enqueue(outbox, &mut tx, call).await {
            Ok(receipts) => written.extend(call.iter().cloned().zip(receipts)),
            Err(error) => {
                assert!(told_to_repeat(Some(error), level));
                outbox.rollback(tx).await;
                return None;
            }
        }
    }
    let mut done = Vec::new();
    for (id, receipt) in written {
        let bump = "INSERT INTO counters VALUES ($1, 1) ON CONFLICT (id) DO UPDATE SET n = counters.n + 1 RETURNING n";
        // Told to repeat by the caller's own statement, under a frozen snapshot.
        let Ok(n) = sqlx::query_scalar(bump).bind(&id).fetch_one(&mut *tx).await else {
            outbox.rollback(tx).await;
            return None;
        };
        done.push((id, n, receipt.message_id()));
    }
    tx.commit().await.is_ok().then_some(done)
}

fn told_to_repeat(error: Option<StoreError>, level: &str) -> bool {
    error.is_some_and(|error| {
        assert_eq!(error.kind(), StoreErrorKind::Contention, "{level}: {error:?}");
        true
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stderr, reason = "the seed belongs to the report of a run")]
async fn callers_of_all_levels_that_repeat_when_told_so_leave_every_event_once_and_in_its_place() {
    let outbox = fresh!("outbox");
    business_table(&outbox).await;
    outbox.run("CREATE TABLE counters (id text PRIMARY KEY, n int8)").await;
    let seed = fastrand::u64(..1_000_000);
    let committed = Committed::default();
    let repeated: u32 = within(together((0..6).map(|n| call(&outbox, seed + n, &committed))))
        .await
        .into_iter()
        .sum();
    let mut committed = committed.into_inner().unwrap();
    committed.sort();
    let expected: Vec<_> = committed.iter().map(|(id, _, message)| (id.clone(), *message)).collect();
    let mut rows = read_all(&outbox).await;
    rows.sort_by(|a, b| (&a.aggregate_id, a.id).cmp(&(&b.aggregate_id, b.id)));
    let rows: Vec<_> = rows.into_iter().map(|row| (row.aggregate_id, row.message_id)).collect();
    eprintln!("seed {seed}: {} events, {repeated} transactions repeated", rows.len());
    assert_eq!(business_done(&outbox).await.len(), 240);
    assert_eq!(rows, expected, "seed {seed}");
    assert!(repeated > 0, "they must get in each other's way");
}
