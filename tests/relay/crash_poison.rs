//! An event that ends every process which handles it.

use std::time::Instant;

use eventferry::store::sqlite::SqliteStore;
use eventferry::{OpenTransaction, TableName};
use sqlx::ConnectOptions;

use crate::rig::{Comparison, File, Ledger, Process, Rig, soon};

const POISON: &str = "{\"n\":1033}";
const MAX_ATTEMPTS: &str = "3";

async fn number(rig: &Rig, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(&rig.db.pool).await.unwrap()
}

/// Runs relays, one after another, until nothing waits any more and every lane is forgiven, which the last of them does on its own time. What
/// one left in its hands is freed at once: leases as short as this test would like are lost by relays on a slow machine.
async fn run_until_settled(database: &str, kafka: &str, number: impl AsyncFn(&'static str) -> i64, end_leases: impl AsyncFn()) {
    let (began, mut ends) = (Instant::now(), 0);
    // Whoever runs relays starts them again.
    loop {
        let process = Process::start_between(database, kafka, &["--max-attempts", MAX_ATTEMPTS, "--abort-on", POISON]).await;
        let settled = async {
            while number(WAITING).await > 0 || number(DEATHS).await > 0 {
                tokio::task::yield_now().await;
            }
        };
        let mut process = Some(process);
        tokio::select! {
            () = soon("lanes that are empty and forgiven, or the end of the process", settled) => {}
            () = Process::ends(&mut process) => {}
        }
        let Some(process) = process else {
            ends += 1;
            end_leases().await;
            assert!(ends < 20, "the event is never found");
            continue;
        };
        process.stop().await;
        eprintln!("{ends} processes ended in {:?}", began.elapsed());
        return;
    }
}

/// The poisoned event died of its attempts, its neighbours are delivered, and none of them is counted.
fn assert_died_alone(dead: &[(i64, i32, String)], counted: i64, comparison: &Comparison) {
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!(dead[0].1.to_string(), MAX_ATTEMPTS);
    assert!(dead[0].2.contains("the process ended"), "{dead:?}");
    assert_eq!(counted, 0, "attempts of others");
    eprintln!("{comparison:?}");
    assert_eq!(
        (comparison.lost, comparison.phantom, comparison.out_of_order),
        (1, 0, 0),
        "{comparison:?}"
    );
}

const WAITING: &str = "select count(*) from outbox where status not in (2, 4)";
const DEAD: &str = "select id, attempts, last_error from outbox where status = 4";
const DEATHS: &str = "select count(*) from outbox_lane where deaths > 0";
const COUNTED: &str = "select count(*) from outbox where status = 2 and attempts > 0";

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_ends_its_process_dies_and_no_neighbour_is_counted() {
    let Some(rig) = Rig::new(3, &[]).await else { return };
    let ledger = rig.fill(2_000, 100).await;
    let database = rig.db.options.to_url_lossy();
    run_until_settled(
        database.as_str(),
        &rig.kafka,
        async |query| number(&rig, query).await,
        async || rig.end_leases().await,
    )
    .await;
    let dead = sqlx::query_as(DEAD).fetch_all(&rig.db.pool).await.unwrap();
    assert_died_alone(&dead, number(&rig, COUNTED).await, &rig.compare(&ledger).await);
}

/// The same with the outbox in a file.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_ends_its_process_dies_alone_in_a_file_too() {
    let Some(rig) = Rig::new(3, &[]).await else { return };
    let (file, table) = (File::new(), TableName::default());
    let pool = file.pool().await;
    SqliteStore::migrate(&pool, &table).await.unwrap();
    let mut ledger = Ledger::default();
    let mut tx = pool.begin().await.unwrap();
    for n in 0..2_000u64 {
        let aggregate = format!("a{}", n % 100);
        let record = rig.record(&aggregate, n);
        ledger.0.entry(aggregate).or_default().push(record.message_id);
        tx.insert(&table, vec![record]).await.unwrap();
    }
    tx.commit().await.unwrap();
    let number = async |query: &'static str| -> i64 { sqlx::query_scalar(query).fetch_one(&pool).await.unwrap() };
    let end_leases = async || {
        sqlx::raw_sql("delete from outbox_relay; update outbox_lane set leased_until = 0 where owner is not null")
            .execute(&pool)
            .await
            .unwrap();
    };
    run_until_settled(&file.url(), &rig.kafka, number, end_leases).await;
    let dead = sqlx::query_as(DEAD).fetch_all(&pool).await.unwrap();
    assert_died_alone(&dead, number(COUNTED).await, &rig.compare(&ledger).await);
}

/// One kill is no reason for care: the next relay sends as ever.
#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_kill_costs_no_careful_phase() {
    let Some(rig) = Rig::new(3, &[]).await else { return };
    let mut first = Process::start(&rig).await;
    let mut ledger = rig.fill(1_000, 50).await;
    first.acked(500).await;
    first.kill().await;
    rig.end_leases().await;
    for (aggregate, ids) in rig.fill(1_000, 50).await.0 {
        ledger.0.entry(aggregate).or_default().extend(ids);
    }
    let relay = rig.start().await;
    let mut careful = 0;
    soon(
        "the backlog",
        relay.wait_for(|stats| {
            careful = careful.max(stats.careful);
            stats.lanes == 64 && stats.acked >= 1_000
        }),
    )
    .await
    .unwrap();
    assert_eq!(careful, 0);
    soon("the last ack", async { while rig.count(0).await > 0 {} }).await;
    // Its owner lives, and all of it is sent.
    soon("lanes that are well", async { while number(&rig, DEATHS).await > 0 {} }).await;
    let stats = relay.stop().await.unwrap();
    assert_eq!((stats.failed, stats.dead), (0, 0));
    assert!(rig.compare(&ledger).await.holds());
}
