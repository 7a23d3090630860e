//! Rows that become visible late: six writers with savepoints, rollbacks, slow transactions and some of two phases, against readers that keep
//! the reading rule and readers that break it in one point each.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use eventferry::outbox::{Record, lane_of, order_key};
use eventferry::store::postgres::PostgresStore;
use eventferry::store::{LaneRead, OpenTransaction, Snapshot, Store};
use eventferry::testing::conformance::store::Harness;
use eventferry_tests::own_postgres::OwnPostgres;
use fastrand::Rng;
use sqlx::{AssertSqlSafe, Executor, Postgres, Transaction};

use crate::postgres::order::read_all;
use crate::postgres::support::{Outbox, event, fresh, together};

const LANES: u8 = 8;
const WRITERS: u64 = 6;
const TRANSACTIONS: u32 = 150;
/// Deadlocks and the reader's own pauses aside, nothing here depends on time: the writers are slow in the database.
const SLOW: &str = "SELECT pg_sleep(0.02)";
const VERY_SLOW: &str = "SELECT pg_sleep(0.4)";

/// Three aggregates in each lane.
fn aggregates() -> Vec<String> {
    let mut of_lane = [0; LANES as usize];
    let names = (0..).map(|n: u32| format!("late-{n}"));
    let mut wanted: Vec<String> = names
        .filter(|name| {
            let lane = usize::from(lane_of(order_key("order", name)));
            lane < of_lane.len() && of_lane[lane] < 3 && {
                of_lane[lane] += 1;
                true
            }
        })
        .take(3 * usize::from(LANES))
        .collect();
    // Writers take them in one order, so that their locks are in one order too.
    wanted.sort_by_key(|name| order_key("order", name) & 4095);
    wanted
}

async fn write(outbox: &Outbox, aggregates: &[String], seed: u64) {
    let mut random = Rng::with_seed(seed);
    for _ in 0..TRANSACTIONS {
        let mut tx = outbox.begin().await;
        let mut at = 0;
        for _ in 0..random.usize(1..=3) {
            at = random.usize(at..aggregates.len());
            put(outbox, &mut tx, &aggregates[at]).await;
            if random.u8(0..10) == 0 {
                tx.execute("SAVEPOINT maybe").await.unwrap();
                put(outbox, &mut tx, &aggregates[at]).await;
                if random.bool() {
                    tx.execute("ROLLBACK TO maybe").await.unwrap();
                }
            }
        }
        match random.u8(0..100) {
            0 => {
                tx.execute(VERY_SLOW).await.unwrap();
            }
            1..20 => {
                tx.execute(SLOW).await.unwrap();
            }
            _ => {}
        }
        let rolls_back = random.u8(0..10) == 0;
        if random.u8(0..5) == 0 {
            end_in_two_phases(outbox, tx, rolls_back).await;
        } else if rolls_back {
            outbox.rollback(tx).await;
        } else {
            outbox.commit(tx).await;
        }
    }
}

/// Prepares a transaction, and ends it a moment later from another session.
async fn end_in_two_phases(outbox: &Outbox, mut tx: Transaction<'static, Postgres>, rolls_back: bool) {
    let name = uuid::Uuid::new_v4();
    tx.execute(AssertSqlSafe(format!("PREPARE TRANSACTION '{name}'"))).await.unwrap();
    drop(tx);
    let end = if rolls_back { "ROLLBACK" } else { "COMMIT" };
    let mut other = outbox.database.pool.acquire().await.unwrap();
    other.execute(SLOW).await.unwrap();
    other.execute(AssertSqlSafe(format!("{end} PREPARED '{name}'"))).await.unwrap();
}

async fn put(outbox: &Outbox, tx: &mut Transaction<'static, Postgres>, aggregate: &str) {
    tx.insert(&outbox.table, vec![event(aggregate)]).await.unwrap();
}

/// Which rule a reader keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Every lane in every read, late rows by the snapshot before.
    OneSnapshot,
    /// The same, but lanes without room are left out of a read.
    LaneLeftOut,
    /// No snapshot: what lies below the cursor is found by reading all of it every fifty reads.
    CursorAndSweep,
    /// No snapshot and no sweep.
    CursorOnly,
}

struct Reader {
    rule: Rule,
    random: Rng,
    cursors: [i64; LANES as usize],
    last: Option<Snapshot>,
    known: BTreeSet<i64>,
    /// Order key and id of each row, as handed on.
    handed_on: Vec<(i64, i64)>,
    late: usize,
    reads: u32,
}

impl Reader {
    fn new(rule: Rule) -> Self {
        Self {
            rule,
            random: Rng::with_seed(3),
            cursors: [0; LANES as usize],
            last: None,
            known: BTreeSet::new(),
            handed_on: Vec::new(),
            late: 0,
            reads: 0,
        }
    }

    async fn read(&mut self, store: &PostgresStore, all: bool) {
        self.reads += 1;
        if self.random.u8(0..50) == 0 && !all {
            // A relay that starts an aggregate over lowers the cursor of its lane.
            let lane = self.random.usize(..self.cursors.len());
            self.cursors[lane] = (self.cursors[lane] - self.random.i64(1..=200)).max(0);
        }
        let mut lanes = Vec::new();
        for (lane, cursor) in (0..).zip(self.cursors) {
            let limit = if all || self.reads.is_multiple_of(50) {
                1000
            } else {
                [0, 0, 5, 20][self.random.usize(..4)]
            };
            if limit > 0 || self.rule != Rule::LaneLeftOut {
                lanes.push(LaneRead::new(lane, cursor, limit));
            }
        }
        let without_late = Snapshot::new("", 0, u64::MAX);
        let last = match self.rule {
            Rule::OneSnapshot | Rule::LaneLeftOut => self.last.take(),
            Rule::CursorAndSweep | Rule::CursorOnly => Some(without_late),
        };
        if lanes.is_empty() {
            self.last = last;
            return;
        }
        if last.is_none() {
            for lane in &mut lanes {
                *lane = LaneRead::new(lane.lane, 0, lane.limit);
            }
        }
        let batch = store.read(last.as_ref(), &lanes).await.unwrap();
        assert!(!batch.late_is_full);
        self.last = Some(batch.snapshot);
        self.late += batch.late.len();
        // Late before fresh, each in the order of ids.
        self.hand_on(batch.late);
        for record in &batch.fresh {
            let cursor = &mut self.cursors[usize::from(record.lane())];
            *cursor = record.id.max(*cursor);
        }
        self.hand_on(batch.fresh);
        if self.rule == Rule::CursorAndSweep && (all || self.reads.is_multiple_of(50)) {
            let lanes: Vec<_> = (0..LANES).map(|lane| LaneRead::new(lane, 0, 100_000)).collect();
            let mut below = store.read(None, &lanes).await.unwrap().fresh;
            below.retain(|record| record.id <= self.cursors[usize::from(record.lane())]);
            self.hand_on(below);
        }
    }

    fn hand_on(&mut self, mut records: Vec<Record>) {
        records.sort_by_key(|record| record.id);
        for record in records {
            if self.known.insert(record.id) {
                self.handed_on.push((record.order_key, record.id));
            }
        }
    }

    /// How many rows came after a later one of their aggregate.
    fn inversions(&self) -> usize {
        let mut highest = HashMap::new();
        let mut inversions = 0;
        for (order_key, id) in &self.handed_on {
            let highest = highest.entry(order_key).or_insert(0);
            inversions += usize::from(id < highest);
            *highest = (*highest).max(*id);
        }
        inversions
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reading_rule_loses_nothing_and_inverts_nothing_and_every_weaker_rule_does() {
    // Its own: a prepared transaction that a failing test leaves would hold up whoever shares the server.
    let settings = [("max_prepared_transactions", "20"), ("fsync", "off")];
    let Some(server) = OwnPostgres::start(&settings).await else {
        return;
    };
    let outbox = Outbox::on(&server).await;
    let aggregates = aggregates();
    let written = AtomicBool::new(false);
    let run = |rule| {
        let (written, pool) = (&written, outbox.database.pool.clone());
        Box::pin(async move {
            // A store of its own: the readers must not wait for each other.
            let store = PostgresStore::new(pool);
            let mut reader = Reader::new(rule);
            while !written.load(Relaxed) {
                reader.read(&store, false).await;
            }
            reader.read(&store, true).await;
            reader.read(&store, true).await;
            reader
        })
    };
    let writers = async {
        let all = (0..WRITERS).map(|seed| write(&outbox, &aggregates, seed));
        together(all).await;
        written.store(true, Relaxed);
    };
    let all = async {
        tokio::join!(
            writers,
            run(Rule::OneSnapshot),
            run(Rule::LaneLeftOut),
            run(Rule::CursorAndSweep),
            run(Rule::CursorOnly)
        )
    };
    // So many transactions that a busy machine has more to do than in most tests.
    let all = tokio::time::timeout(Duration::from_mins(4), all).await;
    let ((), right, left_out, sweep, cursor) = all.expect("the writers come to an end");
    let all: BTreeSet<i64> = read_all(&outbox).await.iter().map(|record| record.id).collect();
    let count = |reader: &Reader| (all.difference(&reader.known).count(), reader.inversions());
    let found: Vec<_> = [&right, &left_out, &sweep, &cursor]
        .map(|reader| (reader.rule, count(reader), reader.late, reader.reads))
        .into();
    let found = format!("rule, (missed, inversions), late, reads: {found:?} of {} rows", all.len());
    assert_eq!(count(&right), (0, 0), "{found}");
    assert!(right.late > 20, "the writers must overlap; {found}");
    assert_ne!(count(&left_out), (0, 0), "a lane left out loses its late rows; {found}");
    assert!(count(&sweep).1 > 0, "a sweep finds rows after their successors; {found}");
    assert!(count(&cursor).0 > 0, "a cursor alone loses rows; {found}");
}

/// The id of a row can be drawn before its transaction has a number: the row is late although its transaction began after the snapshot.
#[tokio::test]
async fn a_row_whose_transaction_began_after_its_id_was_passed_is_late() {
    let outbox = fresh!("outbox");
    // The sequence writes ahead: its first value gives the transaction a number, the ones after it do not.
    let mut tx = outbox.begin().await;
    tx.insert(&outbox.table, vec![event("before")]).await.unwrap();
    outbox.commit(tx).await;
    let mut drawn = outbox.begin().await;
    let id: i64 = sqlx::query_scalar("SELECT nextval('outbox_id_seq')")
        .fetch_one(&mut *drawn)
        .await
        .unwrap();
    let passed = event("42");
    let lane = lane_of(passed.order_key());
    let mut tx = outbox.begin().await;
    tx.insert(&outbox.table, vec![passed]).await.unwrap();
    outbox.commit(tx).await;
    let first = outbox.store.read(None, &[LaneRead::new(lane, 0, 10)]).await.unwrap();
    let cursor = first.fresh.last().unwrap().id;
    assert!(id < cursor);
    sqlx::query(
        "INSERT INTO outbox (id, order_key, aggregate_type, aggregate_id, topic, event_type)
         OVERRIDING SYSTEM VALUE VALUES ($1, $2, 'order', 'other', 'orders', 'OrderCreated')",
    )
    .bind(id)
    .bind(i64::from(lane))
    .execute(&mut *drawn)
    .await
    .unwrap();
    outbox.commit(drawn).await;
    let second = outbox
        .store
        .read(Some(&first.snapshot), &[LaneRead::new(lane, cursor, 0)])
        .await
        .unwrap();
    assert_eq!(second.late.iter().map(|record| record.id).collect::<Vec<_>>(), [id]);
    let third = outbox
        .store
        .read(Some(&second.snapshot), &[LaneRead::new(lane, cursor, 10)])
        .await
        .unwrap();
    assert_eq!((third.late.len(), third.fresh.len()), (0, 0), "once");
}

/// Rows that were loaded from another server carry transaction numbers that mean nothing here.
#[tokio::test]
async fn rows_with_numbers_of_another_server_are_read_by_the_cursor_and_are_never_late() {
    let outbox = fresh!("outbox");
    for tx in ["1", "900000000000"] {
        outbox
            .run(&format!(
                "INSERT INTO outbox (order_key, aggregate_type, aggregate_id, topic, event_type, tx)
                 SELECT 7, 'order', 'x', 'orders', 'OrderCreated', '{tx}' FROM generate_series(1, 5)"
            ))
            .await;
    }
    let first = outbox.store.read(None, &[LaneRead::new(7, 0, 100)]).await.unwrap();
    assert_eq!((first.late.len(), first.fresh.len()), (0, 10));
    let cursor = first.fresh[9].id;
    let second = outbox
        .store
        .read(Some(&first.snapshot), &[LaneRead::new(7, cursor, 100)])
        .await
        .unwrap();
    assert_eq!((second.late.len(), second.fresh.len()), (0, 0));
}
