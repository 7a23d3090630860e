//! Partitions that are away, topics that change under the relay, and names no broker takes.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use eventferry::MessageId;
use eventferry::publish::partitioner::partition_of;
use eventferry_tests::kafka::Logged;
use tokio::time::Instant;

use crate::cluster;
use crate::rig::{Ledger, Rig, soon};

/// Adds what was written later.
fn extend(ledger: &mut Ledger, later: Ledger) {
    for (aggregate, ids) in later.0 {
        ledger.0.entry(aggregate).or_default().extend(ids);
    }
}

/// How long each of so many events took.
fn per_event(began: Instant, events: u64) -> Duration {
    began.elapsed() / u32::try_from(events.max(1)).expect("not that many")
}

/// What happens to the broker of some partitions.
#[derive(Clone, Copy)]
enum Trouble {
    /// Nobody leads them any more.
    Stopped,
    /// Its connections stay open and nobody answers.
    Frozen,
}

/// One of four partitions is on the broker that gets into trouble. The others' events flow meanwhile, and its own when it is back.
async fn one_partition_away(trouble: Trouble) {
    const EVENTS: u64 = 20_000;
    const AGGREGATES: u64 = 400;
    let Some(cluster) = cluster::alone().await else { return };
    let Some(rig) = cluster.rig(&[1, 1, 2, 1]).await else { return };
    let away = (0..AGGREGATES).filter(|n| partition_of(format!("a{n}").as_bytes(), 4) == 2).count() as u64 * (EVENTS / AGGREGATES);
    let relay = cluster.relay(&rig).build().unwrap().start().await.unwrap();
    let mut ledger = rig.fill(1_000, AGGREGATES).await;
    soon("the first acks", relay.wait_for(|stats| stats.acked >= 1_000)).await.unwrap();

    // What they do in good times is the measure.
    extend(&mut ledger, rig.fill(EVENTS, AGGREGATES).await);
    let before = relay.stats().acked;
    let began = Instant::now();
    soon("all of them", relay.wait_for(|stats| stats.acked >= 1_000 + EVENTS))
        .await
        .unwrap();
    let good = per_event(began, 1_000 + EVENTS - before);

    match trouble {
        Trouble::Stopped => cluster.kafka.kill(2).await,
        Trouble::Frozen => cluster.kafka.freeze(2).await,
    }
    extend(&mut ledger, rig.fill(EVENTS, AGGREGATES).await);
    let (began, before) = (Instant::now(), relay.stats().acked);
    let healthy = 1_000 + 2 * EVENTS - away;
    soon("the healthy partitions", relay.wait_for(|stats| stats.acked >= healthy))
        .await
        .unwrap();
    let bad = per_event(began, healthy.saturating_sub(before));
    assert!(rig.count(0).await >= away.cast_signed() / 2, "some of the others wait");
    let counted: i64 = sqlx::query_scalar("select coalesce(sum(attempts), 0)::bigint from outbox")
        .fetch_one(&rig.db.pool)
        .await
        .unwrap();
    assert_eq!(counted, 0);

    match trouble {
        Trouble::Stopped => cluster.kafka.start_again(2).await,
        Trouble::Frozen => cluster.kafka.thaw(2).await,
    }
    let began = Instant::now();
    soon("the rest", relay.wait_for(|stats| stats.acked >= 1_000 + 2 * EVENTS))
        .await
        .unwrap();
    let back = began.elapsed();
    let stats = relay.stop().await.unwrap();
    cluster.kafka.until_brokers(2).await;
    let comparison = rig.compare(&ledger).await;
    eprintln!(
        "rate of the healthy {:.0} % of what it was; the rest {back:?} after the broker's return began; {comparison:?}, {stats:?}",
        100.0 * good.div_duration_f64(bad)
    );
    assert!(comparison.holds(), "{comparison:?}");
    assert_eq!((stats.failed, stats.dead, stats.strays), (0, 0, 0), "{stats:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_without_a_leader_stops_no_other() {
    one_partition_away(Trouble::Stopped).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_whose_leader_answers_nobody_stops_no_other() {
    one_partition_away(Trouble::Frozen).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_events_stop_no_other() {
    let Some(rig) = Rig::new(4, &[("max.message.bytes", "3000")]).await else {
        return;
    };
    let relay = rig.start().await;
    let mut ledger = rig.fill(1_000, 400).await;
    soon("the first acks", relay.wait_for(|stats| stats.acked >= 1_000)).await.unwrap();
    extend(&mut ledger, rig.fill(10_000, 400).await);
    let (began, before) = (Instant::now(), relay.stats().acked);
    soon("all of them", relay.wait_for(|stats| stats.acked >= 11_000)).await.unwrap();
    let good = per_event(began, 11_000 - before);

    // One in a hundred is larger than the topic allows.
    for start in (0..10_000u64).step_by(500) {
        let mut records: Vec<_> = (start..start + 500).map(|n| rig.record(&format!("a{}", n % 400), n)).collect();
        for record in records.iter_mut().skip(37).step_by(100) {
            record.payload = Some(vec![b'x'; 5_000]);
        }
        for (n, id) in (0..).zip(rig.write(records).await) {
            if n % 100 != 37 {
                ledger.0.entry(format!("a{}", (start + n) % 400)).or_default().push(id);
            }
        }
    }
    let (began, before) = (Instant::now(), relay.stats().acked);
    soon(
        "all but the refused",
        relay.wait_for(|stats| stats.acked >= 20_900 && stats.dead == 100),
    )
    .await
    .unwrap();
    let bad = per_event(began, 20_900 - before);
    let stats = relay.stop().await.unwrap();
    let comparison = rig.compare(&ledger).await;
    eprintln!(
        "rate {:.0} % of what it was without refusals; {comparison:?}, {stats:?}",
        100.0 * good.div_duration_f64(bad)
    );
    assert!(comparison.holds(), "{comparison:?}");
    assert_eq!((stats.dead, stats.strays), (100, 0), "{stats:?}");
    let blamed: i64 = sqlx::query_scalar("select count(*) from outbox where attempts > 0 and status = 2")
        .fetch_one(&rig.db.pool)
        .await
        .unwrap();
    assert_eq!(blamed, 0, "nobody else was counted");
}

fn id_of(record: &Logged) -> MessageId {
    let header = record.headers.iter().find(|(name, _)| name == "message-id");
    let value = header.and_then(|(_, value)| value.as_deref()).expect("has the header");
    std::str::from_utf8(value).unwrap().parse().unwrap()
}

/// First deliveries of each aggregate that are out of order within one partition.
fn out_of_order_within_a_partition(ledger: &Ledger, log: &[Logged]) -> usize {
    let place: HashMap<MessageId, (&str, usize)> = ledger
        .0
        .iter()
        .flat_map(|(aggregate, ids)| ids.iter().enumerate().map(move |(n, id)| (*id, (aggregate.as_str(), n))))
        .collect();
    let mut seen = std::collections::HashSet::new();
    let mut last: BTreeMap<(i32, &str), usize> = BTreeMap::new();
    let mut wrong = 0;
    for record in log {
        let id = id_of(record);
        if !seen.insert(id) {
            continue;
        }
        let (aggregate, n) = place[&id];
        if last.insert((record.partition, aggregate), n).is_some_and(|before| before > n) {
            wrong += 1;
        }
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_added_in_the_middle_lose_nothing_and_keep_the_order_within_each() {
    let Some(rig) = Rig::new(2, &[]).await else { return };
    let mut ledger = rig.fill(6_000, 60).await;
    let relay = rig.start().await;
    soon("some acks", relay.wait_for(|stats| stats.acked >= 500)).await.unwrap();
    rig.topic.grow_to(5).await;
    extend(&mut ledger, rig.fill(6_000, 60).await);
    // The one that has used the old number looks again once a minute; one that starts now uses the new one at once.
    let newcomer = rig.start().await;
    soon("all acks", async {
        while rig.count(0).await > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    relay.stop().await.unwrap();
    extend(&mut ledger, rig.fill(600, 60).await);
    soon("the last acks", async {
        while rig.count(0).await > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let stats = newcomer.stop().await.unwrap();
    let log = rig.topic.log().await;
    let comparison = ledger.compare(&log);
    assert!(log.iter().any(|record| record.partition >= 2), "the new partitions are used");
    eprintln!("{comparison:?}, {stats:?}");
    assert_eq!((comparison.lost, comparison.phantom), (0, 0), "{comparison:?}");
    assert_eq!(out_of_order_within_a_partition(&ledger, &log), 0);
    assert_eq!((stats.failed, stats.dead, stats.strays), (0, 0, 0), "{stats:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_deleted_in_the_middle_waits_uncounted_and_goes_on_when_it_is_back() {
    let Some(rig) = Rig::new(2, &[]).await else { return };
    let mut ledger = rig.fill(30_000, 40).await;
    let relay = rig.start().await;
    soon("some acks", relay.wait_for(|stats| stats.acked >= 500)).await.unwrap();
    rig.topic.die().await;
    extend(&mut ledger, rig.fill(2_000, 40).await);
    let early = tokio::time::timeout(Duration::from_secs(2), relay.wait_for(|stats| stats.acked >= 32_000)).await;
    assert!(early.is_err(), "there is no topic");
    let delivered = relay.stats().delivered;
    rig.topic.be_born(2, &[]).await;
    soon("all acks", relay.wait_for(|stats| stats.acked >= 32_000)).await.unwrap();
    let stats = relay.stop().await.unwrap();
    let log = rig.topic.log().await;
    let comparison = ledger.compare(&log);
    eprintln!("{delivered} delivered before it was back; {comparison:?}, {stats:?}");
    assert!(comparison.lost as u64 <= delivered, "only what the old topic had: {comparison:?}");
    assert_eq!(
        (comparison.phantom, out_of_order_within_a_partition(&ledger, &log)),
        (0, 0),
        "{comparison:?}"
    );
    assert_eq!((stats.failed, stats.dead, stats.strays), (0, 0, 0), "{stats:?}");
    assert_eq!(rig.count(2).await, 32_000, "every row is settled");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_partitions_no_broker_takes_are_refused_or_wait_and_never_vanish() {
    let Some(rig) = Rig::new(2, &[]).await else { return };
    let endless = "x".repeat(250);
    let mut records = Vec::new();
    for (n, topic) in ["bad topic!", "..", "ключ", &endless].into_iter().enumerate() {
        let mut record = rig.record(&format!("name-{n}"), 0);
        topic.clone_into(&mut record.topic);
        records.push(record);
    }
    let senseless = rig.record("senseless", 0);
    let mut early = rig.record("early", 0);
    early.partition = Some(3);
    let early_id = early.message_id;
    records.extend([senseless, early]);
    rig.write(records).await;
    // No library lets such a row in, but hands can.
    sqlx::query("update outbox set partition = -3 where aggregate_id = 'senseless'")
        .execute(&rig.db.pool)
        .await
        .unwrap();
    let relay = rig.start().await;
    let ledger = rig.fill(500, 20).await;
    soon("the good ones", relay.wait_for(|stats| stats.acked >= 500 && stats.dead == 5))
        .await
        .unwrap();
    let rows: Vec<(String, i16, i32, Option<String>)> =
        sqlx::query_as("select aggregate_id, status, attempts, last_error from outbox where status <> 2 order by id")
            .fetch_all(&rig.db.pool)
            .await
            .unwrap();
    assert_eq!(rows.len(), 6, "{rows:?}");
    for (aggregate, status, _, error) in &rows[..5] {
        assert_eq!(*status, 4, "{aggregate}");
        assert!(
            error.as_ref().is_some_and(|error| error.contains("failed to")),
            "{aggregate}: {error:?}"
        );
    }
    assert_eq!(
        (rows[5].0.as_str(), rows[5].1, rows[5].2),
        ("early", 0, 0),
        "it waits for its partition"
    );
    rig.topic.grow_to(4).await;
    // Well before the relay looks at all of its topics again.
    let found = tokio::time::timeout(Duration::from_secs(20), relay.wait_for(|stats| stats.acked >= 501)).await;
    found.expect("its partition is found").unwrap();
    relay.stop().await.unwrap();
    let log = rig.topic.log().await;
    let (early, others): (Vec<_>, Vec<_>) = log.into_iter().partition(|record| id_of(record) == early_id);
    assert_eq!(early.len(), 1);
    assert_eq!(early[0].partition, 3);
    assert!(ledger.compare(&others).holds());
}
