//! Several relays on one outbox.

use std::time::{Duration, Instant};

use eventferry::relay::RelayHandle;

use crate::rig::{Comparison, Process, Rig, soon};

async fn lanes(relay: &RelayHandle, wanted: u32) -> Duration {
    let start = Instant::now();
    soon("the lanes", relay.wait_for(|stats| stats.lanes == wanted)).await.unwrap();
    start.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_relays_share_and_a_graceful_stop_hands_over_at_once() {
    let Some(rig) = Rig::new(3, &[]).await else { return };
    rig.set_lease(60_000).await;
    let first = rig.start().await;
    lanes(&first, 64).await;
    let second = rig.start().await;
    let shared = lanes(&second, 32).await.max(lanes(&first, 32).await);
    let ledger = rig.fill(4_000, 200).await;
    soon("half of the work", second.wait_for(|stats| stats.acked > 500)).await.unwrap();
    second.stop().await.unwrap();
    let moved = lanes(&first, 64).await;
    eprintln!("shared after {shared:?}, moved after {moved:?}");
    // Far below the lease: nobody waited for one to end.
    assert!(shared.max(moved) < Duration::from_secs(30), "{shared:?}, {moved:?}");
    soon("all acks", async {
        while rig.count(0).await > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(rig.compare(&ledger).await, Comparison::CLEAN);
    first.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_relays_lanes_move_when_its_lease_is_over() {
    let Some(rig) = Rig::new(2, &[]).await else { return };
    rig.set_lease(4_000).await;
    let first = rig.start().await;
    let mut second = Process::start(&rig).await;
    second.until("32 lanes", |line| line == "lanes 32").await;
    lanes(&first, 32).await;
    second.kill().await;
    let moved = lanes(&first, 64).await;
    eprintln!("moved after {moved:?}");
    // A lease, a heartbeat, and 5 s; below the default lease.
    assert!(moved < Duration::from_millis(4_000 + 1_333 + 5_000), "{moved:?}");
    first.stop().await.unwrap();
}
