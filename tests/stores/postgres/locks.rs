//! The price of the lock: how many are taken, in which order, and whom they hold up.

use eventferry::outbox::{LOCK_SLOTS, NewRecord, order_key};
use eventferry::store::{OpenTransaction, Receipt, StoreErrorKind};
use eventferry::testing::conformance::store::Harness;
use fastrand::Rng;
use sqlx::{Connection, Executor, Postgres, Transaction};

use crate::postgres::order::position;
use crate::postgres::support::{event, fresh, together, within};

fn slot(id: &str) -> i64 {
    order_key("order", id) & (LOCK_SLOTS - 1)
}

pub(super) async fn locks_held(tx: &mut Transaction<'static, Postgres>) -> Vec<i64> {
    sqlx::query_scalar(
        "SELECT objid::int8 FROM pg_locks
         WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND classid = 'outbox'::regclass AND objsubid = 2 ORDER BY 1",
    )
    .fetch_all(&mut **tx)
    .await
    .unwrap()
}

#[tokio::test]
async fn every_lock_of_a_batch_is_held_before_the_first_id_is_drawn() {
    let outbox = fresh!("outbox");
    let ids: Vec<String> = (0..300).map(|n| format!("aggregate-{n}")).collect();
    let mut wanted: Vec<i64> = ids.iter().map(|id| slot(id)).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut tx = outbox.begin().await;
    tx.insert(&outbox.table, ids.iter().map(|id| event(id)).collect()).await.unwrap();
    assert_eq!(locks_held(&mut tx).await, wanted);
    outbox.rollback(tx).await;
    // Another writer holds the last of the slots: nothing is drawn while this one waits for it.
    let last = ids.iter().max_by_key(|id| slot(id)).unwrap();
    let mut holder = outbox.begin().await;
    holder.insert(&outbox.table, vec![event(last)]).await.unwrap();
    let drawn = || sqlx::query_scalar::<_, i64>("SELECT last_value FROM outbox_id_seq").fetch_one(&outbox.database.pool);
    let before = drawn().await.unwrap();
    let mut tx = outbox.begin().await;
    let mut waiting = tx.insert(&outbox.table, ids.iter().map(|id| event(id)).collect());
    let early = tokio::time::timeout(std::time::Duration::from_millis(300), &mut waiting).await;
    assert!(early.is_err());
    assert_eq!(drawn().await.unwrap(), before);
    outbox.commit(holder).await;
    assert_eq!(within(waiting).await.unwrap().len(), 300);
}

#[tokio::test]
async fn events_without_a_place_in_the_order_take_no_lock() {
    let outbox = fresh!("outbox");
    let mut unordered = event("1");
    unordered.ordered = false;
    let mut scheduled = event("2");
    scheduled.deliver_at = Some(std::time::UNIX_EPOCH);
    let mut tx = outbox.begin().await;
    tx.insert(&outbox.table, vec![unordered, scheduled]).await.unwrap();
    assert_eq!(locks_held(&mut tx).await, [0_i64; 0]);
}

#[tokio::test]
async fn two_outboxes_of_one_database_do_not_share_locks() {
    let outbox = fresh!("outbox");
    let other = eventferry::TableName::new("other").unwrap();
    eventferry::store::postgres::PostgresStore::migrate(&outbox.database.pool, &other)
        .await
        .unwrap();
    let mut one = outbox.begin().await;
    one.insert(&outbox.table, vec![event("42")]).await.unwrap();
    let mut two = outbox.begin().await;
    assert_eq!(within(two.insert(&other, vec![event("42")])).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_plan_draws_ids_above_the_locks() {
    let outbox = fresh!("outbox");
    let mut connection = outbox.database.connect().await;
    let statement = include_str!("../../../eventferry/src/store/postgres/sql/insert.sql");
    let prepare = format!("SET plan_cache_mode = force_generic_plan; PREPARE x AS {statement}");
    connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(prepare))).await.unwrap();
    let nulls = ["NULL"; 15].join(", ");
    let explain = format!("EXPLAIN (VERBOSE, COSTS OFF) EXECUTE x ({nulls})");
    let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(explain))
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let line = |part: &str| {
        plan.iter()
            .position(|line| line.contains(part))
            .unwrap_or_else(|| panic!("no `{part}` in {plan:#?}"))
    };
    let depth = |at: usize| plan[at].len() - plan[at].trim_start().len();
    let (drawn, held) = (line("nextval("), line("CTE Scan on held"));
    assert!(
        held > drawn && depth(held) > depth(drawn),
        "the locks are below the node that draws ids: {plan:#?}"
    );
    let (locked, sorted) = (line("pg_advisory_xact_lock("), line("Sort Key: ((given.order_key & "));
    assert!(
        sorted > locked && depth(sorted) > depth(locked),
        "slots are sorted below the node that locks: {plan:#?}"
    );
    connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_over_the_same_aggregates_in_any_order_do_not_deadlock() {
    let outbox = fresh!("outbox");
    let writer = |seed| {
        let outbox = &outbox;
        async move {
            let mut random = Rng::with_seed(seed);
            for _ in 0..60 {
                let mut ids: Vec<u32> = (0..20).collect();
                random.shuffle(&mut ids);
                let mut tx = outbox.begin().await;
                let records = ids.iter().map(|id| event(&id.to_string())).collect();
                let receipts = tx.insert(&outbox.table, records).await.expect("sorted locks cannot deadlock");
                let positions: Vec<_> = receipts.iter().copied().map(position).collect();
                assert!(positions.is_sorted(), "rows are numbered in the order given");
                outbox.commit(tx).await;
            }
        }
    };
    within(together((0..4).map(writer))).await;
}

/// Four enqueues in one transaction, unsorted, each its own statement: they may deadlock, but must not do so all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_unsorted_enqueues_in_a_transaction_make_no_deadlock_storm() {
    let outbox = fresh!("outbox");
    let writer = |seed| {
        let outbox = &outbox;
        async move {
            let mut random = Rng::with_seed(seed);
            let mut deadlocks = 0;
            for _ in 0..40 {
                let mut tx = outbox.begin().await;
                let mut failed = false;
                for _ in 0..4 {
                    match tx.insert(&outbox.table, vec![event(&random.u64(..).to_string())]).await {
                        Ok(_) => {}
                        Err(error) => {
                            assert_eq!(error.kind(), StoreErrorKind::Contention, "{error}");
                            failed = true;
                            break;
                        }
                    }
                }
                if failed {
                    deadlocks += 1;
                    outbox.rollback(tx).await;
                } else {
                    outbox.commit(tx).await;
                }
            }
            deadlocks
        }
    };
    let deadlocks: u32 = within(together((0..40).map(writer))).await.into_iter().sum();
    assert!(deadlocks <= 16, "{deadlocks} of 1600 transactions");
}

/// One idle transaction holds the lock of a slot. Whom it holds up is decided by the slots alone, so this counts and does not time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_transaction_holds_up_nobody_but_its_own_slot() {
    const WRITERS: u64 = 40;
    const EACH: u32 = 120;
    let outbox = fresh!("outbox");
    let mut idle = outbox.begin().await;
    idle.insert(&outbox.table, vec![event("stuck")]).await.unwrap();
    let stuck = slot("stuck");
    let committed = std::sync::atomic::AtomicU32::new(0);
    let writer = |seed| {
        let (outbox, committed) = (&outbox, &committed);
        async move {
            let mut random = Rng::with_seed(seed);
            for _ in 0..EACH {
                let id = random.u64(..).to_string();
                if slot(&id) == stuck {
                    // It would wait until the idle transaction ends, and is asked to give up soon instead.
                    let mut tx = outbox.begin().await;
                    tx.execute("SET LOCAL lock_timeout = '50ms'").await.unwrap();
                    let error = tx.insert(&outbox.table, vec![event(&id)]).await.unwrap_err();
                    assert_eq!(error.kind(), StoreErrorKind::Contention);
                    return;
                }
                let mut tx = outbox.begin().await;
                tx.insert(&outbox.table, vec![event(&id)]).await.unwrap();
                outbox.commit(tx).await;
                committed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
    };
    within(together((0..WRITERS).map(writer))).await;
    let (committed, all) = (committed.into_inner(), EACH * u32::try_from(WRITERS).unwrap());
    assert!(committed >= all * 9 / 10, "{committed} of {all}");
}

#[tokio::test]
async fn a_duplicate_that_commits_meanwhile_is_retryable_under_a_frozen_snapshot() {
    let outbox = fresh!("outbox");
    for (level, expected) in [
        ("READ COMMITTED", None),
        ("REPEATABLE READ", Some(StoreErrorKind::Contention)),
        ("SERIALIZABLE", Some(StoreErrorKind::Contention)),
    ] {
        let mut frozen = outbox.begin().await;
        frozen
            .execute(sqlx::AssertSqlSafe(format!("SET TRANSACTION ISOLATION LEVEL {level}")))
            .await
            .unwrap();
        frozen.execute("SELECT count(*) FROM outbox_meta").await.unwrap();
        let mut other = outbox.begin().await;
        let record: NewRecord = event(level);
        other.insert(&outbox.table, vec![record.clone()]).await.unwrap();
        outbox.commit(other).await;
        let answer = within(frozen.insert(&outbox.table, vec![record.clone()])).await;
        match expected {
            None => assert_eq!(
                answer.unwrap(),
                [Receipt::Duplicate {
                    message_id: record.message_id,
                    dead: false
                }],
                "{level}"
            ),
            Some(kind) => {
                let error = answer.unwrap_err();
                assert_eq!((error.kind(), error.is_retryable()), (kind, true), "{level}: {error}");
            }
        }
    }
}
