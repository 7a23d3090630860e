//! Lanes that change hands again and again while everybody writes.

use std::time::{Duration, UNIX_EPOCH};

use eventferry::testing::verify::{Arrivals, Books, Checker, PostgresBooks, Workload, Writers};
use eventferry::{TableName, Topic};
use eventferry_tests::standstills::Standstills;
use tokio::time::interval;

use crate::rig::{Rig, soon};

const ROUNDS: u64 = 8;

/// Lanes are taken by hand: by somebody who lets them lie for half a second, or by nobody, under a new epoch.
async fn steal(rig: &Rig, round: u64) {
    let lane = i32::try_from(round % 4).unwrap();
    let steal = if round.is_multiple_of(2) {
        "update outbox_lane set epoch = epoch + 1, owner = gen_random_uuid(), leased_until = clock_timestamp() + interval '500 ms' where lane % 4 = $1"
    } else {
        "update outbox_lane set epoch = epoch + 1 where lane % 4 = $1"
    };
    let stolen = sqlx::query(steal).bind(lane).execute(&rig.db.pool).await.unwrap();
    assert_eq!(stolen.rows_affected(), 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_that_move_under_load_keep_every_first_delivery_in_order() {
    let Some(rig) = Rig::new(4, &[("message.timestamp.type", "LogAppendTime")]).await else {
        return;
    };
    rig.set_lease(2_000).await;
    let seed = fastrand::u64(..1_000_000);
    eprintln!("seed {seed}");
    let books = PostgresBooks::open(rig.db.pool.clone()).await.unwrap();
    let topic = Topic::new(rig.topic.name()).unwrap();
    let writers = Writers::start(
        &Workload::new(seed).pause(Duration::from_millis(20)),
        &books,
        &TableName::default(),
        &topic,
    );
    let standstills = Standstills::watch();
    let mut relays = vec![rig.start().await, rig.start().await];
    let (mut strays, mut takeovers) = (0, 0);
    for round in 0..ROUNDS {
        let new = rig.start().await;
        soon("a share of the work", new.wait_for(|stats| stats.lanes > 0 && stats.acked > 50))
            .await
            .unwrap();
        relays.push(new);
        steal(&rig, round).await;
        let stats = soon("a graceful end", relays.remove(0).stop()).await.unwrap();
        (strays, takeovers) = (strays + stats.strays, takeovers + stats.takeovers);
    }
    let written = writers.stop().await;
    soon("the end", async {
        let mut tick = interval(Duration::from_millis(20));
        while rig.count(0).await > 0 {
            tick.tick().await;
        }
    })
    .await;
    for relay in relays {
        strays += relay.stop().await.unwrap().strays;
    }
    let mut arrivals = Arrivals::new();
    for logged in rig.topic.log().await {
        let at = UNIX_EPOCH + Duration::from_millis(logged.timestamp.unwrap_or_default().unsigned_abs());
        arrivals.arrive(&logged, at, (logged.partition, logged.offset));
    }
    // No relay was killed: what stands still waits for a lane that lies idle after a theft, for a lease at most.
    let checker = Checker::new().patience(Duration::from_secs(2 + 5));
    let report = standstills
        .end()
        .into_iter()
        .fold(checker, |checker, (from, to)| checker.disturbed(from, to))
        .check(&books.read().await.unwrap(), &arrivals);
    eprintln!("{takeovers} lanes taken; {written}\n{report}");
    assert!(report.holds(), "{report}");
    assert!(report.committed > 1_000 && takeovers > 200, "{written}, {takeovers} lanes taken");
    assert_eq!(strays, 0);
}
