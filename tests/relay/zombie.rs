//! A relay that is stopped past its lease and wakes up believing that nothing happened.

use std::time::Duration;

use eventferry::testing::proxy::{Line, TcpProxy, Way};
use eventferry_tests::kafka::TestTopic;
use eventferry_tests::kafka_proxy::KafkaProxy;
use sqlx::ConnectOptions;
use tokio::time::interval;

use crate::rig::{Ledger, Process, Rig, soon};

const LEASE_MS: i32 = 2_000;

async fn number(rig: &Rig, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(&rig.db.pool).await.unwrap()
}

async fn until(rig: &Rig, what: &str, query: &'static str, wanted: i64) {
    soon(what, async {
        let mut tick = interval(Duration::from_millis(20));
        while number(rig, query).await != wanted {
            tick.tick().await;
        }
    })
    .await;
}

const VERDICTS_WAITING: &str = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' \
                                and query like '-- Record verdicts%'";

/// An event that its topic refuses, in a row that an operator's open transaction has locked: the verdict on it waits.
async fn refused_and_held(rig: &Rig) -> (TestTopic, sqlx::Transaction<'static, sqlx::Postgres>) {
    let compacted = TestTopic::create(&rig.kafka, 1, &[("cleanup.policy", "compact")]).await;
    let mut refused = rig.record("bad", 1);
    // A compacted topic takes nothing without a key.
    (refused.topic, refused.key) = (compacted.name().to_owned(), None);
    rig.write(vec![refused]).await;
    let mut held = rig.db.pool.begin().await.unwrap();
    sqlx::query("select from outbox for update").execute(&mut *held).await.unwrap();
    (compacted, held)
}

fn add(ledger: &mut Ledger, more: Ledger) {
    for (aggregate, ids) in more.0 {
        ledger.0.entry(aggregate).or_default().extend(ids);
    }
}

/// A relay with a short lease that has written to every partition.
async fn warm(rig: &Rig, proxy: &KafkaProxy, ledger: &mut Ledger) -> Process {
    rig.set_lease(LEASE_MS).await;
    let mut relay = Process::start_between(rig.db.options.to_url_lossy().as_str(), proxy.address(), &[]).await;
    add(ledger, rig.fill(400, 40).await);
    relay.counts("acked", 400).await;
    relay
}

/// Cuts its line to the broker, and gives it 1,000 events that stay in its producer.
async fn with_a_thousand(relay: &mut Process, rig: &Rig, proxy: &KafkaProxy, ledger: &mut Ledger) {
    proxy.cut();
    add(ledger, rig.fill(1_000, 40).await);
    relay.counts("known", 1_000).await;
}

/// Somebody who took the lanes when the lease was over, keeps them, and sends nothing.
async fn ghost(rig: &Rig) {
    rig.set_lease(120_000).await;
    let take = "update outbox_lane set owner = 'a0000000-0000-4000-8000-000000000000', epoch = epoch + 1, taken_at = clock_timestamp(), \
                leased_until = clock_timestamp() + interval '2 minutes' where leased_until < clock_timestamp()";
    soon("the end of the lease", async {
        let mut tick = interval(Duration::from_millis(20));
        let mut taken = 0;
        while taken < 64 {
            tick.tick().await;
            taken += sqlx::query(take).execute(&rig.db.pool).await.unwrap().rows_affected();
        }
    })
    .await;
}

/// It may finish what it had begun, and its acks are welcome: a delivered event is delivered. It begins nothing, and decides nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_wakes_without_its_lanes_begins_nothing_and_decides_nothing_and_comes_back() {
    let Some(proxy) = KafkaProxy::start().await else { return };
    let Some(rig) = Rig::new(2, &[]).await else { return };
    let (_compacted, held) = refused_and_held(&rig).await;
    let mut ledger = Ledger::default();
    let mut zombie = warm(&rig, &proxy, &mut ledger).await;
    until(&rig, "the refusal", VERDICTS_WAITING, 1).await;
    with_a_thousand(&mut zombie, &rig, &proxy, &mut ledger).await;
    until(&rig, "its verdict", VERDICTS_WAITING, 1).await;
    zombie.signal("STOP").await;
    ghost(&rig).await;
    let later = rig.fill(100, 40).await;
    proxy.mend();
    zombie.signal("CONT").await;
    // What it had in its producer arrives and is recorded, though the lanes are somebody else's.
    until(&rig, "the acks", "select count(*) from outbox where status = 2", 1_400).await;
    let (mut fenced, mut lost) = (false, false);
    let both = |line: &str| {
        fenced |= line == "fenced 1";
        lost |= line == "lanes 0";
        fenced && lost
    };
    zombie.until("its verdict's end, and its lanes'", both).await;
    assert_eq!(rig.topic.log().await.len(), 1_400, "nothing new was begun");
    assert_eq!(
        number(&rig, "select count(*) from outbox where status = 0 and last_error is null").await,
        101,
        "nor decided"
    );
    // The relay takes the lanes again by itself when the ghost ends.
    sqlx::query("update outbox_lane set owner = null, leased_until = null")
        .execute(&rig.db.pool)
        .await
        .unwrap();
    zombie.until("all lanes", |line| line == "lanes 64").await;
    held.rollback().await.unwrap();
    until(&rig, "the rest", "select count(*) from outbox where status = 2", 1_500).await;
    until(&rig, "the refused one's end", "select count(*) from outbox where status = 4", 1).await;
    add(&mut ledger, later);
    let comparison = rig.compare(&ledger).await;
    eprintln!("{comparison:?}");
    assert!(comparison.holds(), "{comparison:?}");
    assert_eq!(comparison.duplicates, 0, "its acks counted");
    zombie.stop().await;
}

/// Everything it had in its producer arrives again, long after another relay delivered it and what came behind it.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_woken_relay_still_sends_is_old_news_and_never_a_first_delivery_out_of_order() {
    let Some(proxy) = KafkaProxy::start().await else { return };
    let Some(rig) = Rig::new(2, &[]).await else { return };
    let mut ledger = Ledger::default();
    let mut zombie = warm(&rig, &proxy, &mut ledger).await;
    with_a_thousand(&mut zombie, &rig, &proxy, &mut ledger).await;
    zombie.signal("STOP").await;
    // Longer for everybody else, who then loses nothing to a slow machine.
    rig.set_lease(15_000).await;
    sqlx::query("delete from outbox_relay").execute(&rig.db.pool).await.unwrap();
    let mut other = Process::start(&rig).await;
    add(&mut ledger, rig.fill(500, 40).await);
    other.counts("acked", 1_500).await;
    proxy.mend();
    zombie.signal("CONT").await;
    zombie.until("its share of the lanes", |line| line == "lanes 32").await;
    add(&mut ledger, rig.fill(500, 40).await);
    until(&rig, "the end", "select count(*) from outbox where status = 0", 0).await;
    let log = rig.topic.log().await.len();
    let comparison = rig.compare(&ledger).await;
    eprintln!("{log} records, {comparison:?}");
    assert!(comparison.holds(), "{comparison:?}");
    assert_eq!(comparison.duplicates, 1_000, "it had a thousand in its producer");
    zombie.stop().await;
    other.stop().await;
}

/// The statement that records a refusal leaves the relay, and reaches the server when the lane is somebody else's.
#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_that_arrives_after_a_takeover_changes_nothing() {
    let Some(rig) = Rig::new(1, &[]).await else { return };
    rig.set_lease(LEASE_MS).await;
    let (_compacted, held) = refused_and_held(&rig).await;
    let line = TcpProxy::start(format!("{}:{}", rig.db.options.get_host(), rig.db.options.get_port()))
        .await
        .unwrap();
    let database = rig.db.options.clone().host("127.0.0.1").port(line.address().port());
    let mut first = Process::start_between(database.to_url_lossy().as_str(), &rig.kafka, &[]).await;
    until(&rig, "the verdict", VERDICTS_WAITING, 1).await;
    line.set(Line::Stalled(Way::Both));
    // The server ends the statement by itself; nobody has to wait for whoever sent it.
    let mut second = Process::start(&rig).await;
    second.until("all lanes", |line| line == "lanes 64").await;
    line.set(Line::Open);
    first.counts("fenced", 1).await;
    assert_eq!(
        number(&rig, "select count(*) from outbox where status = 0 and last_error is null").await,
        1
    );
    held.rollback().await.unwrap();
    until(&rig, "the owner's verdict", "select count(*) from outbox where status = 4", 1).await;
    first.until("its share of the lanes", |line| line == "lanes 32").await;
    first.stop().await;
    second.stop().await;
}
