//! Processes and connections that die.

use crate::rig::{Process, Rig, soon};

/// The default window of a relay: what a crash may deliver twice.
const WINDOW: usize = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_relay_costs_only_duplicates() {
    let Some(rig) = Rig::new(4, &[]).await else { return };
    // A short lease, so that the second relay need not wait for the default one.
    sqlx::query("update outbox_meta set lease_ms = 3000")
        .execute(&rig.db.pool)
        .await
        .unwrap();
    let ledger = rig.fill(20_000, 500).await;
    let mut first = Process::start(&rig).await;
    first.acked(4_000).await;
    first.kill().await;
    let before = rig.count(2).await;
    assert!(before < 20_000, "the first relay was too quick to be killed in the middle");
    let second = Process::start(&rig).await;
    let relay = rig.start().await; // shares the work, and tells when all is done
    soon("the end of the backlog", async {
        while rig.count(0).await > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    second.stop().await;
    assert_eq!(relay.stop().await.unwrap().strays, 0);
    let comparison = rig.compare(&ledger).await;
    eprintln!("killed with {before} of 20,000 recorded: {comparison:?}");
    assert!(comparison.holds(), "{comparison:?}");
    assert!(comparison.duplicates <= WINDOW, "{comparison:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn database_sessions_that_are_cut_again_and_again_lose_nothing() {
    let Some(rig) = Rig::new(3, &[]).await else { return };
    let relay = rig.start().await;
    let mut ledger = rig.fill(500, 20).await;
    for round in 0..6u64 {
        let kill = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                    where datname = current_database() and pid <> pg_backend_pid() and application_name like 'eventferry%'";
        let killed: i64 = sqlx::query_scalar(kill).fetch_one(&rig.db.pool).await.unwrap();
        assert!(killed > 0, "the relay's sessions carry its name");
        for (aggregate, ids) in rig.fill(500, 20).await.0 {
            ledger.0.entry(aggregate).or_default().extend(ids);
        }
        soon("the round's acks", relay.wait_for(|stats| stats.acked >= 500 * (round + 2)))
            .await
            .unwrap();
    }
    soon("all acks", async {
        while rig.count(0).await > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let stats = relay.stop().await.unwrap();
    let comparison = rig.compare(&ledger).await;
    assert!(comparison.holds(), "{comparison:?}");
    assert_eq!((stats.failed, stats.dead, stats.strays), (0, 0, 0), "{stats:?}");
}
