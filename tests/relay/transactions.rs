//! A Kafka transaction for each batch, and one transactional id for each group of lanes.

use std::time::{Duration, Instant};

use eventferry::publish::kafka::KafkaPublisher;
use eventferry::publish::{Pipelined, Seat};
use eventferry::relay::{Relay, RelayHandle};

use crate::rig::{Comparison, Process, Rig, soon};

const LIMIT: Duration = Duration::from_secs(30);

fn publisher(rig: &Rig) -> KafkaPublisher {
    KafkaPublisher::builder(&rig.kafka).transactions(LIMIT).build().unwrap()
}

async fn start(rig: &Rig, recover: bool) -> RelayHandle {
    let relay = Relay::builder(rig.store(), publisher(rig)).auto_recover_from_fence(recover);
    relay.build().unwrap().start().await.unwrap()
}

async fn all_settled(rig: &Rig) {
    soon("all acks", async {
        while rig.count(0).await > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn outbox(rig: &Rig) -> String {
    sqlx::query_scalar("select id::text from outbox_meta")
        .fetch_one(&rig.db.pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_share_groups_and_every_event_is_committed_once_and_in_order() {
    let Some(rig) = Rig::new(3, &[]).await else { return };
    let first = start(&rig, true).await;
    let ledger = rig.fill(6_000, 300).await;
    soon("some acks", first.wait_for(|stats| stats.acked > 500)).await.unwrap();
    let second = start(&rig, true).await;
    soon("half of the groups", second.wait_for(|stats| stats.lanes == 32))
        .await
        .unwrap();
    soon("the other half", first.wait_for(|stats| stats.lanes == 32)).await.unwrap();
    all_settled(&rig).await;
    second.stop().await.unwrap();
    soon("all lanes", first.wait_for(|stats| stats.lanes == 64)).await.unwrap();
    let stats = first.stop().await.unwrap();
    assert_eq!(rig.compare(&ledger).await, Comparison::CLEAN);
    assert_eq!(
        (stats.groups_fenced, stats.failed, stats.dead, stats.strays),
        (0, 0, 0, 0),
        "{stats:?}"
    );
}

/// What the killed relay had begun and not committed is never visible; whoever takes its lanes fences its transactional ids.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_relays_open_batch_is_never_seen() {
    let Some(rig) = Rig::new(3, &[]).await else { return };
    rig.set_lease(2_000).await;
    let ledger = rig.fill(20_000, 500).await;
    let mut first = Process::start_with(&rig, &["--transactions", "30"]).await;
    first.acked(3_000).await;
    first.kill().await;
    let before = rig.count(2).await;
    let second = start(&rig, true).await;
    all_settled(&rig).await;
    let stats = second.stop().await.unwrap();
    let comparison = rig.compare(&ledger).await;
    eprintln!("killed with {before} of 20,000 recorded: {comparison:?}");
    assert!(before < 20_000 && comparison.holds(), "{comparison:?}");
    assert_eq!((stats.groups_fenced, stats.failed, stats.dead), (0, 0, 0), "{stats:?}");
}

/// A relay that was stopped past its lease is fenced by the new owner of its lanes; that is no quarrel, and it takes part again. If it was
/// stopped while it opened a session, it fences the new owner when it wakes; that one takes its leases anew and goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_whose_lanes_were_taken_over_is_fenced_and_comes_back() {
    let Some(rig) = Rig::new(3, &[]).await else { return };
    rig.set_lease(2_000).await;
    let mut first = Process::start_with(&rig, &["--transactions", "30"]).await;
    let mut ledger = rig.fill(4_000, 200).await;
    first.acked(1_000).await;
    first.signal("STOP").await;
    let second = start(&rig, true).await;
    soon("the takeover", second.wait_for(|stats| stats.lanes == 64)).await.unwrap();
    for (aggregate, ids) in rig.fill(4_000, 200).await.0 {
        ledger.0.entry(aggregate).or_default().extend(ids);
    }
    soon("work of the second", second.wait_for(|stats| stats.acked > 500))
        .await
        .unwrap();
    first.signal("CONT").await;
    soon("the first one's share", second.wait_for(|stats| stats.lanes == 32))
        .await
        .unwrap();
    for (aggregate, ids) in rig.fill(2_000, 200).await.0 {
        ledger.0.entry(aggregate).or_default().extend(ids);
    }
    all_settled(&rig).await;
    first.stop().await;
    let stats = second.stop().await.unwrap();
    let comparison = rig.compare(&ledger).await;
    eprintln!("{comparison:?}");
    assert!(comparison.holds(), "{comparison:?}");
    assert_eq!((stats.failed, stats.dead), (0, 0), "{stats:?}");
}

/// Somebody else uses the outbox's transactional ids: the relay gives that group up, says so, and the others flow.
#[tokio::test(flavor = "multi_thread")]
async fn a_fence_by_a_stranger_stops_the_group_and_nothing_else() {
    let Some(rig) = Rig::new(3, &[]).await else { return };
    let relay = start(&rig, false).await;
    let _ledger = rig.fill(640, 320).await;
    all_settled(&rig).await;
    let stranger = publisher(&rig);
    let outbox = outbox(&rig).await;
    let session = soon("the stranger's session", stranger.open(Seat::new(&outbox, 3))).await.unwrap();
    rig.fill(640, 320).await;
    soon("the fence", relay.wait_for(|stats| stats.groups_fenced == 1 && stats.lanes == 56))
        .await
        .unwrap();
    soon("the others", async {
        while sqlx::query_scalar::<_, i64>("select count(*) from outbox where status = 0 and lane / 8 <> 3")
            .fetch_one(&rig.db.pool)
            .await
            .unwrap()
            > 0
        {}
    })
    .await;
    let waiting = rig.count(0).await;
    assert!(waiting > 0, "the fenced group waits");
    drop(session.close().await);
    // Another relay, or the same one started again, takes the group.
    let other = start(&rig, true).await;
    all_settled(&rig).await;
    let stats = other.stop().await.unwrap();
    assert_eq!((stats.failed, stats.dead), (0, 0));
    assert_eq!(relay.stop().await.unwrap().groups_fenced, 1);
}

/// A relay that may recover takes its leases anew before it takes the id back.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_may_recover_comes_back_after_its_leases() {
    let Some(rig) = Rig::new(3, &[]).await else { return };
    rig.set_lease(1_500).await;
    let relay = start(&rig, true).await;
    let mut ledger = rig.fill(640, 320).await;
    all_settled(&rig).await;
    let epochs = "select epoch from outbox_lane where lane / 8 = 3 order by lane";
    let before: Vec<i64> = sqlx::query_scalar(epochs).fetch_all(&rig.db.pool).await.unwrap();
    let stranger = publisher(&rig);
    let outbox = outbox(&rig).await;
    let began = Instant::now();
    let session = soon("the stranger's session", stranger.open(Seat::new(&outbox, 3))).await.unwrap();
    for (aggregate, ids) in rig.fill(640, 320).await.0 {
        ledger.0.entry(aggregate).or_default().extend(ids);
    }
    all_settled(&rig).await;
    let after: Vec<i64> = sqlx::query_scalar(epochs).fetch_all(&rig.db.pool).await.unwrap();
    eprintln!("recovered after {:?}", began.elapsed());
    assert!(
        before.iter().zip(&after).all(|(before, after)| after > before),
        "leases were taken anew: {before:?} {after:?}"
    );
    drop(session.close().await);
    let stats = relay.stop().await.unwrap();
    assert_eq!((stats.groups_fenced, stats.dead), (0, 0));
    assert!(rig.compare(&ledger).await.holds());
}
