//! The database's server itself is killed, replaced, lied to about the time, or waits for a standby.

use eventferry_tests::own_postgres::OwnPostgres;

use crate::rig::{Ledger, Rig, soon};

/// Every row is settled.
async fn drained(rig: &Rig) {
    soon("the end of the backlog", async {
        while rig.count(0).await > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn extend(ledger: &mut Ledger, more: Ledger) {
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
