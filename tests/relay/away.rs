//! What is away, or slow, or forbidden, and is nobody's fault: nothing is counted, everything else flows, and it resumes by itself.

use std::time::Duration;

use eventferry::RetryPolicy;
use eventferry::publish::Pipelined;
use eventferry::publish::kafka::{KafkaPublisher, KafkaPublisherBuilder};
use eventferry::relay::Relay;
use eventferry_tests::kafka::TestTopic;
use eventferry_tests::kafka_proxy::KafkaProxy;
use eventferry_tests::kafka_wire::{Right, allow, allow_transactions, throttle};
use tokio::time::Instant;

use crate::cluster;
use crate::rig::{Ledger, Rig, soon};

/// How many attempts were counted, and how many events are dead.
async fn counted(rig: &Rig) -> (i64, i64) {
    sqlx::query_as("select coalesce(sum(attempts), 0)::bigint, count(*) filter (where status in (4, 5)) from outbox")
        .fetch_one(&rig.db.pool)
        .await
        .unwrap()
}

/// Events for another topic than the rig's, over aggregates of their own.
async fn fill_other(rig: &Rig, topic: &TestTopic, count: u64, aggregates: u64) -> Ledger {
    let mut ledger = Ledger::default();
    let mut records = Vec::new();
    for n in 0..count {
        let mut record = rig.record(&format!("o{}", n % aggregates), n);
        topic.name().clone_into(&mut record.topic);
        records.push(record);
    }
    for (n, id) in (0..).zip(rig.write(records).await) {
        ledger.0.entry(format!("o{}", n % aggregates)).or_default().push(id);
    }
    ledger
}

/// How long the broker stays away, and how many events wait: `EVENTFERRY_OUTAGE_SECONDS` and 50,000, or else less of both.
fn outage() -> (Duration, u64) {
    let seconds = std::env::var("EVENTFERRY_OUTAGE_SECONDS").ok().and_then(|text| text.parse().ok());
    seconds.map_or((Duration::from_secs(8), 20_000), |seconds| (Duration::from_secs(seconds), 50_000))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_costs_no_attempt_and_delivery_resumes_by_itself() {
    let Some(cluster) = cluster::alone().await else { return };
    let Some(rig) = cluster.rig(&[1, 1, 1, 1]).await else { return };
    let relay = cluster.relay(&rig).build().unwrap().start().await.unwrap();
    let mut ledger = rig.fill(500, 50).await;
    soon("the first acks", relay.wait_for(|stats| stats.acked >= 500)).await.unwrap();

    for node in [1, 2] {
        cluster.kafka.kill(node).await;
    }
    let gone = Instant::now();
    let (away, events) = outage();
    for (aggregate, ids) in rig.fill(events, 500).await.0 {
        ledger.0.entry(aggregate).or_default().extend(ids);
    }
    // The outage itself is what is waited for.
    tokio::time::sleep_until(gone + away).await;
    assert_eq!(counted(&rig).await, (0, 0));
    assert_eq!(rig.count(0).await, events.cast_signed(), "all of them wait");
    for node in [1, 2] {
        cluster.kafka.start_again(node).await;
    }
    let probe = cluster.publisher().metadata_timeout(Duration::from_millis(200)).build().unwrap();
    soon("the broker's return", async {
        while probe.partitions(rig.topic.name()).await.is_err() {}
    })
    .await;
    let back = Instant::now();
    soon("the first delivery", relay.wait_for(|stats| stats.delivered > 500))
        .await
        .unwrap();
    let resumed = back.elapsed();
    soon("the end of the backlog", relay.wait_for(|stats| stats.acked >= 500 + events))
        .await
        .unwrap();
    eprintln!(
        "away for {:?}, first delivery {resumed:?} after the broker's return, all after {:?}",
        back - gone,
        back.elapsed()
    );
    let stats = relay.stop().await.unwrap();
    cluster.kafka.until_brokers(2).await;
    let comparison = rig.compare(&ledger).await;
    assert!(comparison.holds(), "{comparison:?}");
    assert_eq!((stats.failed, stats.dead, stats.strays), (0, 0, 0), "{stats:?}");
    assert_eq!(counted(&rig).await, (0, 0));
    assert_eq!(stats.sessions_rebuilt, 0, "an outage ends no session");
    assert!(resumed < Duration::from_secs(5), "{resumed:?}");
    eprintln!("{comparison:?}, {stats:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_and_a_full_queue_slow_down_and_cost_nothing() {
    let Some(rig) = Rig::new(3, &[]).await else { return };
    let client = format!("slow-{}", rig.topic.name());
    let publisher = KafkaPublisher::builder(&rig.kafka)
        .set("client.id", &client)
        .set("queue.buffering.max.messages", "50");
    throttle(&rig.kafka, &client, Some(20_000.0)).await;
    let ledger = rig.fill(4_000, 40).await;
    let relay = Relay::builder(rig.store(), publisher.build().unwrap());
    let relay = relay.build().unwrap().start().await.unwrap();
    soon("the first acks", relay.wait_for(|stats| stats.acked >= 300)).await.unwrap();
    let slow = tokio::time::timeout(Duration::from_secs(3), relay.wait_for(|stats| stats.acked >= 4_000)).await;
    assert!(slow.is_err(), "the quota does not slow anything down");
    assert_eq!(counted(&rig).await, (0, 0));
    throttle(&rig.kafka, &client, None).await;
    soon("the rest", relay.wait_for(|stats| stats.acked >= 4_000)).await.unwrap();
    let stats = relay.stop().await.unwrap();
    let comparison = rig.compare(&ledger).await;
    assert!(comparison.holds(), "{comparison:?}");
    assert_eq!((stats.failed, stats.dead, stats.strays), (0, 0, 0), "{stats:?}");
    assert_eq!(stats.sessions_rebuilt, 0, "a quota ends no session");
    eprintln!("{comparison:?}, {stats:?}");
}

/// A publisher that logs in as the user who may do nothing.
fn as_app(brokers: String) -> KafkaPublisherBuilder {
    KafkaPublisher::builder(brokers)
        .set("batch.size", "50000")
        .set("security.protocol", "sasl_plaintext")
        .set("sasl.mechanism", "PLAIN")
        .set("sasl.username", "app")
        .set("sasl.password", "secret")
}

/// Events for a topic on which the relay has all rights, and for one on which it has only those given; later it may write there, too.
async fn forbidden(rights: &[Right]) {
    let Some(cluster) = cluster::shared().await else { return };
    let Some(rig) = cluster.rig(&[1, 1]).await else { return };
    let other = TestTopic::create_on(&rig.kafka, &[1, 1]).await;
    let broker = rig.kafka.split(',').next().unwrap().to_owned();
    for (topic, rights) in [(&rig.topic, &[Right::Write, Right::Describe][..]), (&other, rights)] {
        for right in rights {
            allow(&broker, "app", topic.name(), *right).await;
        }
    }
    let others = fill_other(&rig, &other, 400, 20).await;
    let mut ledger = rig.fill(4_000, 40).await;
    let publisher = as_app(cluster.kafka.secured()).build().unwrap();
    let relay = Relay::builder(rig.store(), publisher).build().unwrap().start().await.unwrap();
    soon("the healthy topic", relay.wait_for(|stats| stats.acked >= 4_000))
        .await
        .unwrap();
    // More of them while the other topic is tried again and again.
    let began = Instant::now();
    for round in 1..=5u64 {
        for (aggregate, ids) in rig.fill(400, 40).await.0 {
            ledger.0.entry(aggregate).or_default().extend(ids);
        }
        soon("another round", relay.wait_for(|stats| stats.acked >= 4_000 + 400 * round))
            .await
            .unwrap();
    }
    eprintln!("five rounds of 400 beside the forbidden topic took {:?}", began.elapsed());
    // Long enough for the other topic to be tried several times.
    let early = tokio::time::timeout(Duration::from_secs(3), relay.wait_for(|stats| stats.acked > 6_000)).await;
    assert!(early.is_err(), "what is forbidden is not delivered");
    assert_eq!(counted(&rig).await, (0, 0));
    assert_eq!(rig.count(0).await, 400, "the others wait");
    let sessions = relay.stats().sessions_rebuilt;
    allow(&broker, "app", other.name(), Right::Describe).await;
    allow(&broker, "app", other.name(), Right::Write).await;
    soon("the rest", relay.wait_for(|stats| stats.acked >= 6_400)).await.unwrap();
    let stats = relay.stop().await.unwrap();
    let (comparison, others) = (rig.compare(&ledger).await, others.compare(&other.log().await));
    assert!(comparison.holds() && others.holds(), "{comparison:?} {others:?}");
    assert_eq!((stats.failed, stats.dead, stats.strays), (0, 0, 0), "{stats:?}");
    assert!(
        sessions <= 2,
        "what is forbidden ends the session of the others again and again: {sessions}"
    );
    eprintln!("{comparison:?}, {others:?}, {sessions} sessions rebuilt while it was forbidden, {stats:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_nobody_lets_us_see_waits_uncounted_and_resumes_with_the_right() {
    forbidden(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_we_may_see_and_not_write_waits_uncounted_and_resumes_with_the_right() {
    forbidden(&[Right::Describe]).await;
}

/// All rights on the topic, and none on the transactional ids that a relay publishes under.
#[tokio::test(flavor = "multi_thread")]
async fn transactions_nobody_allows_us_wait_uncounted_and_resume_with_the_right() {
    let Some(cluster) = cluster::shared().await else { return };
    let Some(rig) = cluster.rig(&[1, 1]).await else { return };
    let broker = rig.kafka.split(',').next().unwrap().to_owned();
    for right in [Right::Write, Right::Describe] {
        allow(&broker, "app", rig.topic.name(), right).await;
    }
    let ledger = rig.fill(1_000, 40).await;
    let publisher = as_app(cluster.kafka.secured()).transactions(Duration::from_secs(20));
    let relay = Relay::builder(rig.store(), publisher.build().unwrap());
    let relay = relay.build().unwrap().start().await.unwrap();
    // Long enough for several tries.
    let early = tokio::time::timeout(Duration::from_secs(4), relay.wait_for(|stats| stats.acked > 0)).await;
    assert!(
        early.is_err(),
        "nothing is published under an id that is not allowed: {:?}",
        relay.stats()
    );
    assert_eq!(counted(&rig).await, (0, 0));
    assert_eq!(rig.count(0).await, 1_000, "all of them wait");
    let outbox: String = sqlx::query_scalar("select id::text from outbox_meta")
        .fetch_one(&rig.db.pool)
        .await
        .unwrap();
    for group in 0..8 {
        allow_transactions(&broker, "app", &format!("eventferry-{outbox}-{group}")).await;
    }
    soon("all of them", relay.wait_for(|stats| stats.acked >= 1_000)).await.unwrap();
    let stats = relay.stop().await.unwrap();
    let comparison = rig.compare(&ledger).await;
    assert!(comparison.holds(), "{comparison:?}");
    assert_eq!((stats.failed, stats.dead, stats.strays), (0, 0, 0), "{stats:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_the_broker_hangs_up_on_dies_alone() {
    let Some(cluster) = cluster::shared().await else { return };
    let Some(rig) = cluster.rig(&[1, 2, 1, 2]).await else { return };
    let mut ledger = Ledger::default();
    let mut records: Vec<_> = (0..3_000u64).map(|n| rig.record(&format!("a{}", n % 30), n)).collect();
    records[1_205].payload = Some(vec![b'x'; 200_000]);
    let poison = records[1_205].message_id;
    for (n, id) in (0..).zip(rig.write(records).await) {
        if id != poison {
            ledger.0.entry(format!("a{}", n % 30)).or_default().push(id);
        }
    }
    let began = Instant::now();
    let relay = cluster
        .relay(&rig)
        .max_attempts(3)
        .retry(RetryPolicy::fixed(Duration::from_millis(50)));
    let relay = relay.build().unwrap().start().await.unwrap();
    soon("all acks", relay.wait_for(|stats| stats.acked >= 2_999 && stats.dead == 1))
        .await
        .unwrap();
    let took = began.elapsed();
    let stats = relay.stop().await.unwrap();
    let comparison = rig.compare(&ledger).await;
    assert!(comparison.holds(), "{comparison:?}");
    let blamed: Vec<(uuid::Uuid, i16, i32, String)> =
        sqlx::query_as("select message_id, status, attempts, last_error from outbox where attempts > 0 or status not in (0, 2)")
            .fetch_all(&rig.db.pool)
            .await
            .unwrap();
    let [(id, row, attempts, error)] = &blamed[..] else {
        panic!("{blamed:?}")
    };
    assert_eq!((*id, *row, *attempts), (uuid::Uuid::from(poison), 4, 3));
    assert!(error.contains("closes the connection"), "{error}");
    assert_eq!((stats.dead, stats.strays), (1, 0), "{stats:?}");
    eprintln!("took {took:?}; {comparison:?}, {stats:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_names_an_address_where_nobody_is_costs_nothing() {
    let Some(cluster) = cluster::shared().await else { return };
    let Some(rig) = cluster.rig(&[1, 1]).await else { return };
    let (listener, advertised) = cluster.kafka.proxied(1);
    let ledger = rig.fill(1_000, 20).await;
    let publisher = KafkaPublisher::builder(&listener).set("batch.size", "50000");
    let publisher = publisher.metadata_timeout(Duration::from_secs(1)).build().unwrap();
    let relay = Relay::builder(rig.store(), publisher).build().unwrap().start().await.unwrap();
    let early = tokio::time::timeout(Duration::from_secs(3), relay.wait_for(|stats| stats.acked > 0)).await;
    assert!(early.is_err(), "nobody listens at {advertised}");
    assert_eq!(counted(&rig).await, (0, 0));
    let proxy = KafkaProxy::between(listener, advertised).await;
    soon("all acks", relay.wait_for(|stats| stats.acked >= 1_000)).await.unwrap();
    let stats = relay.stop().await.unwrap();
    drop(proxy);
    let comparison = rig.compare(&ledger).await;
    assert!(comparison.holds(), "{comparison:?}");
    assert_eq!((stats.failed, stats.dead, stats.strays), (0, 0, 0), "{stats:?}");
}
