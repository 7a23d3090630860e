//! An event that ends every process which handles it.

use std::time::Instant;

use crate::rig::{Process, Rig, soon};

const POISON: &str = "{\"n\":1033}";
const MAX_ATTEMPTS: &str = "3";

async fn short_lease(rig: &Rig) {
    sqlx::query("update outbox_meta set lease_ms = 1000")
        .execute(&rig.db.pool)
        .await
        .unwrap();
}

async fn number(rig: &Rig, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(&rig.db.pool).await.unwrap()
}

/// It dies of its attempts like any other, its neighbours are delivered, and none of them is counted.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_ends_its_process_dies_and_no_neighbour_is_counted() {
    let Some(rig) = Rig::new(3, &[]).await else { return };
    short_lease(&rig).await;
    let ledger = rig.fill(2_000, 100).await;
    let began = Instant::now();
    let mut ends = 0;
    // Whoever runs relays starts them again.
    loop {
        let process = Process::start_with(&rig, &["--max-attempts", MAX_ATTEMPTS, "--abort-on", POISON]).await;
        let settled = async {
            while number(&rig, "select count(*) from outbox where status not in (2, 4)").await > 0 {
                tokio::task::yield_now().await;
            }
        };
        let mut process = Some(process);
        tokio::select! {
            () = soon("the end of the backlog, or of the process", settled) => {}
            () = Process::ends(&mut process) => {}
        }
        match process {
            None => ends += 1,
            Some(process) => {
                process.stop().await;
                break;
            }
        }
        assert!(ends < 20, "the event is never found");
    }
    let dead: Vec<(i64, i32, String)> = sqlx::query_as("select id, attempts, last_error from outbox where status = 4")
        .fetch_all(&rig.db.pool)
        .await
        .unwrap();
    eprintln!("{ends} processes ended in {:?}; dead: {dead:?}", began.elapsed());
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!(dead[0].1.to_string(), MAX_ATTEMPTS);
    assert!(dead[0].2.contains("the process ended"), "{dead:?}");
    assert_eq!(
        number(&rig, "select count(*) from outbox where status = 2 and attempts > 0").await,
        0
    );
    let comparison = rig.compare(&ledger).await;
    eprintln!("{comparison:?}");
    assert_eq!(
        (comparison.lost, comparison.phantom, comparison.out_of_order),
        (1, 0, 0),
        "{comparison:?}"
    );
    assert_eq!(
        number(&rig, "select max(deaths)::int8 from outbox_lane").await,
        0,
        "all is forgiven"
    );
}

/// One kill is no reason for care: the next relay sends as ever.
#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_kill_costs_no_careful_phase() {
    let Some(rig) = Rig::new(3, &[]).await else { return };
    short_lease(&rig).await;
    let mut first = Process::start(&rig).await;
    let mut ledger = rig.fill(1_000, 50).await;
    first.acked(500).await;
    first.kill().await;
    for (aggregate, ids) in rig.fill(1_000, 50).await.0 {
        ledger.0.entry(aggregate).or_default().extend(ids);
    }
    let relay = rig.start().await;
    let mut careful = 0;
    soon(
        "the backlog",
        relay.wait_for(|stats| {
            careful = careful.max(stats.careful);
            stats.lanes == 64 && stats.acked >= 1_000
        }),
    )
    .await
    .unwrap();
    assert_eq!(careful, 0);
    soon("the last ack", async { while rig.count(0).await > 0 {} }).await;
    // Its owner lives, and all of it is sent.
    let deaths = "select max(deaths)::int8 from outbox_lane";
    soon("lanes that are well", async { while number(&rig, deaths).await > 0 {} }).await;
    let stats = relay.stop().await.unwrap();
    assert_eq!((stats.failed, stats.dead), (0, 0));
    assert!(rig.compare(&ledger).await.holds());
}
