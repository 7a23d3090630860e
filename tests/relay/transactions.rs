//! A Kafka transaction for each batch, and one transactional id for each group of lanes.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use eventferry::publish::kafka::KafkaPublisher;
use eventferry::publish::{Pipelined, Seat};
use eventferry::relay::{Relay, RelayHandle};
use eventferry_tests::kafka::Logged;
use eventferry_tests::kafka_proxy::{END_TRANSACTION, KafkaProxy};
use sqlx::ConnectOptions;
use tokio::time::interval;

use crate::rig::{Comparison, Ledger, Process, Rig, soon};

const LIMIT: Duration = Duration::from_secs(30);

fn publisher(rig: &Rig) -> KafkaPublisher {
    KafkaPublisher::builder(&rig.kafka).transactions(LIMIT).build().unwrap()
}

/// Somebody else with the same ids, who waits for what others have under way with them.
fn stranger(rig: &Rig) -> KafkaPublisher {
    let stranger = KafkaPublisher::builder(&rig.kafka).transactions(LIMIT);
    stranger.metadata_timeout(Duration::from_secs(30)).build().unwrap()
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

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_killed_in_the_middle_of_its_transactions_costs_only_duplicates() {
    let Some(rig) = Rig::new(3, &[]).await else { return };
    let ledger = rig.fill(20_000, 500).await;
    let locked = rig.lock_last(2_000).await;
    let mut first = Process::start_with(&rig, &["--transactions", "30"]).await;
    first.acked(3_000).await;
    first.kill().await;
    locked.rollback().await.unwrap();
    rig.end_leases().await;
    let before = rig.count(2).await;
    let second = start(&rig, true).await;
    all_settled(&rig).await;
    let stats = second.stop().await.unwrap();
    let comparison = rig.compare(&ledger).await;
    eprintln!("killed with {before} of 20,000 recorded: {comparison:?}");
    assert!((3_000..=18_000).contains(&before) && comparison.holds(), "{comparison:?}");
    assert_eq!((stats.groups_fenced, stats.failed, stats.dead), (0, 0, 0), "{stats:?}");
}

/// What the killed relay had begun and not committed is never visible; whoever takes its lanes fences its transactional ids.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_relays_open_batch_is_never_seen() {
    let Some(proxy) = KafkaProxy::start().await else { return };
    let Some(rig) = Rig::new(3, &[]).await else { return };
    let mut ledger = rig.fill(1_000, 500).await;
    let database = rig.db.options.to_url_lossy();
    let mut first = Process::start_between(database.as_str(), proxy.address(), &["--transactions", "60"]).await;
    first.acked(1_000).await;
    // From here on no commit reaches the broker: each batch that begins stays open.
    proxy.hang_up_on(&[END_TRANSACTION]);
    extend(&mut ledger, rig.fill(2_000, 500).await);
    let mut open = HashSet::new();
    soon("open batches of every partition", async {
        while open.iter().map(|(partition, _)| partition).collect::<HashSet<_>>().len() < 3 {
            open = not_committed(&rig).await;
        }
    })
    .await;
    first.kill().await;
    rig.end_leases().await;
    let open = not_committed(&rig).await;
    assert_eq!(rig.topic.log().await.len(), 1_000, "nothing of them is visible");

    let second = start(&rig, true).await;
    all_settled(&rig).await;
    let stats = second.stop().await.unwrap();
    let log = rig.topic.log().await;
    let comparison = ledger.compare(&log);
    eprintln!("killed with {} events in open batches: {comparison:?}", open.len());
    let seen = log
        .iter()
        .filter(|record| open.contains(&(record.partition, record.offset)))
        .count();
    assert_eq!(seen, 0, "of {} aborted events", open.len());
    assert_eq!(comparison, Comparison::CLEAN, "not one of them was delivered");
    assert_eq!((stats.groups_fenced, stats.failed, stats.dead), (0, 0, 0), "{stats:?}");
}

/// The places of what stands in the log and is not committed, where nothing is committed behind something that is not.
async fn not_committed(rig: &Rig) -> HashSet<(i32, i64)> {
    let place = |record: Logged| (record.partition, record.offset);
    let mut places: HashSet<_> = rig.topic.uncommitted().await.into_iter().map(place).collect();
    for committed in rig.topic.log().await {
        places.remove(&place(committed));
    }
    places
}

fn extend(ledger: &mut Ledger, more: Ledger) {
    for (aggregate, ids) in more.0 {
        ledger.0.entry(aggregate).or_default().extend(ids);
    }
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
    extend(&mut ledger, rig.fill(4_000, 200).await);
    soon("work of the second", second.wait_for(|stats| stats.acked > 500))
        .await
        .unwrap();
    first.signal("CONT").await;
    soon("the first one's share", second.wait_for(|stats| stats.lanes == 32))
        .await
        .unwrap();
    extend(&mut ledger, rig.fill(2_000, 200).await);
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
    let mut ledger = rig.fill(640, 320).await;
    all_settled(&rig).await;
    let stranger = stranger(&rig);
    let outbox = outbox(&rig).await;
    let session = soon("the stranger's session", stranger.open(Seat::new(&outbox, 3))).await.unwrap();
    extend(&mut ledger, rig.fill(640, 320).await);
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
    assert_eq!(rig.compare(&ledger).await, Comparison::CLEAN);
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
    let stranger = stranger(&rig);
    let outbox = outbox(&rig).await;
    let began = Instant::now();
    let session = soon("the stranger's session", stranger.open(Seat::new(&outbox, 3))).await.unwrap();
    extend(&mut ledger, rig.fill(640, 320).await);
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

/// The relays of a database and of its copy, which has the same transactional ids, each write for themselves: each fences the other, and takes
/// its own leases anew, until one of them gives the group up.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_relays_that_fight_over_an_id_one_gives_it_up_and_says_so() {
    const LEASE: Duration = Duration::from_secs(3);
    const EPOCHS: &str = "select coalesce(sum(epoch), 0)::int8 from outbox_lane";
    let Some(rig) = Rig::new(3, &[]).await else { return };
    let copy = Rig::new(3, &[]).await.expect("the servers are there");
    let id = outbox(&rig).await;
    sqlx::query("update outbox_meta set id = $1::uuid")
        .bind(&id)
        .execute(&copy.db.pool)
        .await
        .unwrap();
    let rigs = [&rig, &copy];
    let (mut relays, mut ledgers) = (Vec::new(), [Ledger::default(), Ledger::default()]);
    for rig in rigs {
        rig.set_lease(3_000).await;
        relays.push(start(rig, true).await);
    }
    let began = Instant::now();
    let mut tick = interval(Duration::from_millis(200));
    let given_up = || relays.iter().map(|relay| relay.stats().groups_fenced).sum::<u32>();
    let epochs = async || {
        let mut epochs = [0; 2];
        for (rig, epochs) in rigs.iter().zip(&mut epochs) {
            *epochs = sqlx::query_scalar::<_, i64>(EPOCHS).fetch_one(&rig.db.pool).await.unwrap();
        }
        epochs
    };
    // Settled: each group has been given up by one of the two, and that stays so, and no lease is taken, for longer than they would wait before
    // they take one again.
    let (mut last, mut since) = ((epochs().await, given_up()), Instant::now());
    soon("the end of the fight", async {
        while last.1 != 8 || since.elapsed() < 3 * LEASE {
            tick.tick().await;
            // Whoever has nothing to send does not notice.
            for (rig, ledger) in rigs.iter().zip(&mut ledgers) {
                extend(ledger, rig.fill(64, 64).await);
            }
            let now = (epochs().await, given_up());
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
    })
    .await;
    let (last, counts): (_, Vec<_>) = (last.0, relays.iter().map(|relay| relay.stats().groups_fenced).collect());
    eprintln!(
        "groups given up: {counts:?}, epochs {last:?}, after {:?}",
        since.duration_since(began)
    );
    assert!(last.iter().sum::<i64>() <= 2 * 64 * 8, "each lane was leased {last:?} / 64 times");
    // The groups that were given up wait, for a relay with ids of its own beside this one.
    for (rig, relay) in rigs.iter().zip(relays) {
        let the_others = relay.wait_for(|stats| stats.lanes == 64 - 8 * stats.groups_fenced);
        soon("the lanes of the other groups", the_others).await.unwrap();
        let heir = KafkaPublisher::builder(&rig.kafka)
            .transactions(LIMIT)
            .transactional_id_prefix(rig.db.name());
        let heir = Relay::builder(rig.store(), heir.build().unwrap()).build().unwrap();
        let heir = heir.start().await.unwrap();
        all_settled(rig).await;
        for stats in [relay.stop().await.unwrap(), heir.stop().await.unwrap()] {
            assert_eq!((stats.failed, stats.dead, stats.strays), (0, 0, 0), "{stats:?}");
        }
    }
    for (rig, ledger) in rigs.iter().zip(&ledgers) {
        let comparison = rig.compare(ledger).await;
        eprintln!("{comparison:?}");
        assert!(comparison.holds(), "{comparison:?}");
    }
}
