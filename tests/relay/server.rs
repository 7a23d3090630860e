//! The database's server itself is killed, replaced, lied to about the time, or waits for a standby.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use eventferry::outbox::NewRecord;
use eventferry::publish::memory::MemoryPublisher;
use eventferry::relay::Relay;
use eventferry::store::Retention;
use eventferry::store::postgres::PostgresStore;
use eventferry::{OpenTransaction, PublishErrorKind, RetryPolicy, TableName};
use eventferry_tests::own_postgres::{OwnPostgres, free_port};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::rig::{Comparison, Ledger, Process, Rig, soon};

/// Every row is settled.
pub(crate) async fn drained(rig: &Rig) {
    soon("the end of the backlog", async {
        while rig.count(0).await > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

pub(crate) fn extend(ledger: &mut Ledger, more: Ledger) {
    for (aggregate, ids) in more.0 {
        ledger.0.entry(aggregate).or_default().extend(ids);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_again_and_again_loses_nothing() {
    let Some(mut server) = OwnPostgres::start(&[]).await else { return };
    let Some(rig) = Rig::on(&server, 3).await else { return };
    let mut ledger = rig.fill(3_000, 40).await;
    let relay = rig.start().await;
    for round in 1..4u64 {
        soon("some acks", relay.wait_for(|stats| stats.acked >= 900 * round)).await.unwrap();
        server.kill().await;
        server.start_again().await;
        extend(&mut ledger, rig.fill(1_000, 40).await);
    }
    server.stop().await;
    server.start_again().await;
    drained(&rig).await;
    let stats = relay.stop().await.unwrap();
    let comparison = rig.compare(&ledger).await;
    eprintln!("{comparison:?}; {stats:?}");
    assert!(comparison.holds(), "{comparison:?}");
    assert_eq!((stats.failed, stats.dead, stats.strays), (0, 0, 0), "{stats:?}");
}

/// Connections to the rig's database on a server to which it was copied.
fn pool_to(server: &OwnPostgres, rig: &Rig) -> PgPool {
    PgPoolOptions::new().connect_lazy_with(server.options(rig.db.name()))
}

/// Waits until a server's log says something.
async fn logged(server: &OwnPostgres, text: &str) {
    soon(text, async {
        while !server.log().contains(text) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

pub(crate) async fn scalar(pool: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

fn signal(pid: i32, name: &str) {
    let sent = std::process::Command::new("kill").args(["-s", name, &pid.to_string()]).status();
    assert!(sent.unwrap().success());
}

/// The server says nothing any more on the connections that are open, as when its host has vanished; on new ones it answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_is_asked_again_on_new_connections() {
    let Some(server) = OwnPostgres::start(&[("fsync", "off")]).await else {
        return;
    };
    let Some(rig) = Rig::on(&server, 2).await else { return };
    rig.set_lease(1500).await;
    let mut ledger = rig.fill(100, 10).await;
    let relay = rig.start().await;
    soon("100 acks", relay.wait_for(|stats| stats.acked >= 100)).await.unwrap();
    let mut silenced = Vec::new();
    for name in ["read", "ack", "lease"] {
        // Between two statements: whatever it holds otherwise would be held from everybody.
        let idle = "SELECT pid FROM pg_stat_activity WHERE application_name = 'eventferry ' || $1 AND state = 'idle'";
        let found = async || -> Option<i32> { sqlx::query_scalar(idle).bind(name).fetch_optional(&rig.db.pool).await.unwrap() };
        let pid = soon("a pause", async {
            loop {
                let Some(pid) = found().await else { continue };
                signal(pid, "STOP");
                // It may have begun a statement meanwhile.
                if found().await == Some(pid) {
                    break pid;
                }
                signal(pid, "CONT");
            }
        })
        .await;
        silenced.push(pid);
    }
    extend(&mut ledger, rig.fill(100, 10).await);
    let start = Instant::now();
    soon("200 acks", relay.wait_for(|stats| stats.acked >= 200)).await.unwrap();
    eprintln!("{silenced:?} silenced; carried and recorded after {:?}", start.elapsed());
    let comparison = rig.compare(&ledger).await;
    assert!(comparison.holds(), "{comparison:?}");
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failover_to_a_lagging_standby_ids_come_back_and_nothing_is_lost_or_taken_for_delivered() {
    failover(Retention::default()).await;
}

/// An ack of an id that came back would delete another event.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_failover_an_ack_that_deletes_deletes_nothing_undelivered() {
    failover(Retention::Delete).await;
}

/// The standby takes over without the last 700 events: their ids and transaction numbers come back with other events.
///
/// Of those 700, 300 are delivered and recorded, 400 are delivered and wait to be recorded: somebody has locked their rows.
async fn failover(retention: Retention) {
    let Some(mut primary) = OwnPostgres::start(&[]).await else { return };
    let Some(mut rig) = Rig::on(&primary, 3).await else { return };
    // A lane is left to itself for as long as the servers change.
    rig.set_lease(6000).await;
    let mut ledger = rig.fill(1_000, 40).await;
    // Its acks come late, so that the rows of the last events can be locked before they are recorded.
    let relay = rig.relay().retention(retention).ack_batch(10_000, Duration::from_secs(2));
    let relay = relay.build().unwrap().start().await.unwrap();
    soon("the first acks", relay.wait_for(|stats| stats.acked >= 1_000)).await.unwrap();
    let mut standby = primary.standby(&[]).await;
    let written = scalar(&rig.db.pool, "SELECT (pg_current_wal_lsn() - '0/0')::int8").await;
    let copy = standby.pool();
    soon("the standby's catching up", async {
        while scalar(&copy, "SELECT (pg_last_wal_replay_lsn() - '0/0')::int8").await < written {}
    })
    .await;
    standby.set("primary_conninfo", "").await;
    soon("the end of streaming", async {
        while scalar(&rig.db.pool, "SELECT count(*) FROM pg_stat_replication").await > 0 {}
    })
    .await;
    extend(&mut ledger, rig.fill(300, 40).await);
    soon("300 more acks", relay.wait_for(|stats| stats.acked >= 1_300)).await.unwrap();
    let mut operator = rig.db.connect().await;
    let gone_rows = rig.fill(400, 40).await;
    sqlx::raw_sql("BEGIN; SELECT FROM outbox WHERE id > 1300 FOR UPDATE")
        .execute(&mut operator)
        .await
        .unwrap();
    soon("700 deliveries", relay.wait_for(|stats| stats.delivered >= 1_700))
        .await
        .unwrap();
    let unrecorded = scalar(&rig.db.pool, "SELECT count(*) FROM outbox WHERE status = 0").await;
    extend(&mut ledger, gone_rows);
    let last_id = scalar(&rig.db.pool, "SELECT max(id) FROM outbox").await;
    let last_tx = scalar(&rig.db.pool, "SELECT pg_current_xact_id()::text::int8").await;
    primary.kill().await;
    standby.take_port(primary.port()).await;
    // The relay is answered by a server that is a standby still: neither a reason to stop nor one to publish.
    logged(&standby, "recovery is in progress").await;
    // Its ids are taken again before the relay can say what it delivered under them.
    standby.take_port(free_port()).await;
    standby.promote().await;
    rig.db.pool = pool_to(&standby, &rig);
    let current = scalar(&rig.db.pool, "SELECT pg_current_xact_id()::text::int8").await;
    assert!(current < last_tx, "transaction numbers come back: {current} after {last_tx}");
    extend(&mut ledger, rig.fill(1_000, 40).await);
    let reused = scalar(&rig.db.pool, "SELECT count(*) FROM outbox WHERE id > 1300 AND id <= 1700").await;
    assert_eq!((last_id, reused), (1_700, 400));
    standby.take_port(primary.port()).await;
    rig.db.pool = pool_to(&standby, &rig);
    drained(&rig).await;
    let stats = relay.stop().await.unwrap();
    let log = rig.topic.log().await;
    let comparison = ledger.compare(&log);
    let rows = scalar(&rig.db.pool, "SELECT count(*) FROM outbox").await;
    eprintln!("{unrecorded} unrecorded, {rows} rows at the end: {comparison:?}; {stats:?}");
    assert!(unrecorded > 0);
    assert_eq!(rows > 0, retention != Retention::Delete);
    assert_eq!(ledger.swallowed(&log).await, 0, "by a consumer with a watermark");
    assert_eq!(comparison, Comparison::CLEAN);
    assert_eq!((stats.failed, stats.dead, stats.strays), (0, 0, 0), "{stats:?}");
}

/// A standby that must confirm every commit is missing: commits wait, and what waits is published by nobody.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_synchronous_replication_is_not_published_and_flows_when_it_is_released() {
    let Some(server) = OwnPostgres::start(&[]).await else { return };
    let Some(rig) = Rig::on(&server, 2).await else { return };
    rig.set_lease(3000).await;
    let rig = Arc::new(rig);
    let mut ledger = rig.fill(200, 20).await;
    let relay = rig.start().await;
    soon("the first acks", relay.wait_for(|stats| stats.acked >= 200)).await.unwrap();
    server.set("synchronous_standby_names", "missing").await;
    let pool = &rig.db.pool;
    // The setting is in force when a commit waits.
    let commits = async {
        loop {
            let commit = sqlx::query("INSERT INTO counters VALUES ('x', 1) ON CONFLICT (id) DO UPDATE SET n = counters.n + 1");
            commit.execute(pool).await.unwrap();
        }
    };
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE 'INSERT INTO counters%'";
    tokio::select! {
        () = soon("a commit that waits", async { while scalar(pool, waiting).await == 0 {} }) => {}
        () = commits => unreachable!("it never ends"),
    }
    let writer = tokio::spawn({
        let rig = rig.clone();
        async move { rig.fill(400, 20).await }
    });
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query ILIKE 'commit%'";
    soon("the writer's wait", async { while scalar(pool, waiting).await == 0 {} }).await;
    // The relay holds its lanes, reads, and carries what another writer did not want to wait for.
    let quick = rig.db.options.clone().options([("synchronous_commit", "local")]);
    let quick = PgPoolOptions::new().connect_lazy_with(quick);
    let (mut others, records) = (Ledger::default(), (0..20).map(|n| rig.record("quick", n)).collect::<Vec<_>>());
    others
        .0
        .insert("quick".to_owned(), records.iter().map(|record| record.message_id).collect());
    let mut tx = quick.begin().await.unwrap();
    tx.insert(&TableName::default(), records).await.unwrap();
    tx.commit().await.unwrap();
    soon("20 more", relay.wait_for(|stats| stats.delivered >= 220)).await.unwrap();
    extend(&mut ledger, others);
    assert!(!writer.is_finished());
    soon("every lane", relay.wait_for(|stats| stats.lanes == 64)).await.unwrap();
    assert_eq!(rig.compare(&ledger).await, Comparison::CLEAN, "nothing that waits was published");
    server.set("synchronous_standby_names", "").await;
    extend(&mut ledger, soon("the commit", writer).await.unwrap());
    drained(&rig).await;
    assert_eq!(rig.compare(&ledger).await, Comparison::CLEAN);
    let stats = relay.stop().await.unwrap();
    assert_eq!((stats.failed, stats.dead, stats.strays), (0, 0, 0), "{stats:?}");
}

/// The database's wall clock goes an hour forward, back, and another hour back, under two relays with work to do; and when one of them dies.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_stepped_moves_a_dead_owners_lanes_within_two_leases_and_loses_nothing() {
    const LEASE: Duration = Duration::from_secs(6);
    let Some((server, clock)) = OwnPostgres::start_with_clock(&[]).await else {
        return;
    };
    let Some(rig) = Rig::on(&server, 3).await else { return };
    rig.set_lease(6_000).await;
    let mut ledger = Ledger::default();
    let relay = rig.start().await;
    let mut other = Process::start(&rig).await;
    let shared = async |other: &mut Process| {
        other.until("half of the lanes", |line| line == "lanes 32").await;
        soon("the other half", relay.wait_for(|stats| stats.lanes == 32)).await.unwrap();
    };
    shared(&mut other).await;
    for hour in [1, 0, -1] {
        extend(&mut ledger, rig.fill(1_000, 60).await);
        clock.step(3600 * hour);
        extend(&mut ledger, rig.fill(1_000, 60).await);
        drained(&rig).await;
    }
    let before = (rig.compare(&ledger).await, relay.stats());
    eprintln!("steps under two live relays: {before:?}");
    assert!(before.0.holds());
    for hour in [0, -1] {
        soon("half of the lanes", relay.wait_for(|stats| stats.lanes == 32)).await.unwrap();
        extend(&mut ledger, rig.fill(1_000, 60).await);
        other.kill().await;
        clock.step(3600 * hour);
        let start = Instant::now();
        soon("all lanes", relay.wait_for(|stats| stats.lanes == 64)).await.unwrap();
        let moved = start.elapsed();
        eprintln!("killed while the clock was stepped {hour} h: moved after {moved:?}");
        assert!(moved < 2 * LEASE, "{moved:?}");
        drained(&rig).await;
        other = Process::start(&rig).await;
    }
    drop(other);
    let stats = relay.stop().await.unwrap();
    let comparison = rig.compare(&ledger).await;
    eprintln!("{comparison:?}; {stats:?}");
    assert!(comparison.holds(), "{comparison:?}");
    assert_eq!((stats.failed, stats.dead, stats.strays), (0, 0, 0), "{stats:?}");
}

/// An event was refused and is to be tried again in two seconds; then the clock is set back by an hour.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_does_not_park_an_aggregate_for_as_long() {
    let Some((server, clock)) = OwnPostgres::start_with_clock(&[]).await else {
        return;
    };
    let pool = server.pool();
    let table = TableName::default();
    PostgresStore::migrate(&pool, &table).await.unwrap();
    let records = (0..10).map(|n| NewRecord::new("t", "thing", "a", "Happened", Some(vec![n])));
    let mut tx = pool.begin().await.unwrap();
    tx.insert(&table, records.collect()).await.unwrap();
    tx.commit().await.unwrap();
    let broker = MemoryPublisher::new();
    let stepped = Arc::new(AtomicBool::new(false));
    broker.fail_when({
        let stepped = stepped.clone();
        move |message| (message.payload() == Some(&[4]) && !stepped.load(Relaxed)).then_some(PublishErrorKind::Retriable)
    });
    let relay = Relay::builder(PostgresStore::new(pool), broker.clone()).retry(RetryPolicy::fixed(Duration::from_secs(2)));
    let relay = relay.build().unwrap().start().await.unwrap();
    soon("the refusal", relay.wait_for(|stats| stats.failed >= 1)).await.unwrap();
    stepped.store(true, Relaxed);
    clock.step(-3600);
    soon("all ten", relay.wait_for(|stats| stats.acked == 10)).await.unwrap();
    let delivered: Vec<_> = broker.messages("t").iter().map(|message| message.payload().unwrap()[0]).collect();
    assert_eq!(delivered, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    relay.stop().await.unwrap();
}
