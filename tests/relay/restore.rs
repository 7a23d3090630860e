//! The database is dumped, restored somewhere else, and carried from there.

use eventferry_tests::own_postgres::OwnPostgres;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::rig::{Rig, soon};
use crate::server::{drained, extend, scalar};

const QUICK: [(&str, &str); 1] = [("fsync", "off")];

/// Dumps the rig's database and loads it into a new one of that name, or another name, on a server; answers connections to it.
async fn restore(from: &OwnPostgres, rig: &Rig, to: &OwnPostgres, name: &str) -> PgPool {
    let file = from.dir().join("dump.sql");
    run(from.tool("pg_dump").args(["-d", rig.db.name(), "-f"]).arg(&file));
    to.execute(&format!("CREATE DATABASE {name}")).await;
    run(to.tool("psql").args(["-qX", "-v", "ON_ERROR_STOP=1", "-d", name, "-f"]).arg(&file));
    PgPoolOptions::new().connect_lazy_with(to.options(name))
}

fn run(command: &mut std::process::Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The server, and so its identity, is the same: only the database is another one. Ids come back with other events.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_restored_beside_the_original_is_another_source_whose_events_no_watermark_swallows() {
    let Some(server) = OwnPostgres::start(&QUICK).await else { return };
    let Some(mut rig) = Rig::on(&server, 2).await else { return };
    let mut ledger = rig.fill(600, 20).await;
    let relay = rig.start().await;
    drained(&rig).await;
    let restored = restore(&server, &rig, &server, "restored").await;
    extend(&mut ledger, rig.fill(400, 20).await);
    drained(&rig).await;
    relay.stop().await.unwrap();
    rig.db.pool = restored;
    extend(&mut ledger, rig.fill(400, 20).await);
    assert_eq!(scalar(&rig.db.pool, "SELECT max(id) FROM outbox").await, 1_000, "400 ids came back");
    let relay = rig.start().await;
    drained(&rig).await;
    relay.stop().await.unwrap();
    let log = rig.topic.log().await;
    let comparison = ledger.compare(&log);
    assert!(comparison.holds(), "{comparison:?}");
    assert_eq!(ledger.swallowed(&log).await, 0);
}

/// The dump is taken while a relay works, and comes to a server whose transaction numbers are lower: they pass the restored ones later.
#[tokio::test(flavor = "multi_thread")]
async fn a_dump_restored_on_another_server_in_the_middle_loses_nothing() {
    let Some(mut old) = OwnPostgres::start(&QUICK).await else { return };
    let Some(mut rig) = Rig::on(&old, 2).await else { return };
    old.execute("DO $$ BEGIN FOR i IN 1..600 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$")
        .await;
    let new = OwnPostgres::start(&QUICK).await.unwrap();
    let mut ledger = rig.fill(8_000, 40).await;
    let parked = "UPDATE outbox SET status = 3, attempts = 1, available_at = now() + interval '4 minutes'
                  WHERE id = (SELECT min(id) FROM outbox WHERE aggregate_id = 'a7')";
    sqlx::query(parked).execute(&rig.db.pool).await.unwrap();
    let highest = scalar(&rig.db.pool, "SELECT max(tx::text::int8) FROM outbox").await;
    let locked = rig.lock_last(1_000).await;
    let relay = rig.start().await;
    soon("some acks", relay.wait_for(|stats| stats.acked >= 500)).await.unwrap();
    let restored = restore(&old, &rig, &new, "restored").await;
    locked.rollback().await.unwrap();
    let unsettled = scalar(&restored, "SELECT count(*) FROM outbox WHERE status IN (0, 3)").await;
    soon("all but the parked", relay.wait_for(|stats| stats.acked >= 7_800))
        .await
        .unwrap();
    old.kill().await;
    drop(relay);
    rig.db.pool = restored;
    let relay = rig.start().await;
    let began = scalar(&rig.db.pool, "SELECT pg_current_xact_id()::text::int8").await;
    assert!(began < highest, "{began} {highest}");
    let mut now = began;
    while now < highest + 100 {
        extend(&mut ledger, rig.fill(40, 40).await);
        now = scalar(&rig.db.pool, "SELECT pg_current_xact_id()::text::int8").await;
    }
    sqlx::query("UPDATE outbox SET available_at = now() WHERE status = 3")
        .execute(&rig.db.pool)
        .await
        .unwrap();
    soon("every row", async {
        while scalar(&rig.db.pool, "SELECT count(*) FROM outbox WHERE status <> 2").await > 0 {}
    })
    .await;
    let stats = relay.stop().await.unwrap();
    let log = rig.topic.log().await;
    let comparison = ledger.compare(&log);
    eprintln!(
        "{unsettled} unsettled in the dump, {} transactions since: {comparison:?}; {stats:?}",
        now - began
    );
    assert!(comparison.holds(), "{comparison:?}");
    assert!(
        (1_000..=7_500).contains(&unsettled),
        "the dump was taken in the middle: {unsettled}"
    );
    assert_eq!(ledger.swallowed(&log).await, 0);
}
