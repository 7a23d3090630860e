//! Processes and connections that die.

use eventferry::relay::Relay;
use eventferry::store::postgres::PostgresStore;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Executor};

use crate::rig::{Process, Rig, soon};

/// The default window of a relay: what a crash may deliver twice.
const WINDOW: usize = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_relay_costs_only_duplicates() {
    let Some(rig) = Rig::new(4, &[]).await else { return };
    let ledger = rig.fill(20_000, 500).await;
    let locked = rig.lock_last(2_000).await;
    let mut first = Process::start(&rig).await;
    first.acked(4_000).await;
    first.kill().await;
    locked.rollback().await.unwrap();
    rig.end_leases().await;
    let before = rig.count(2).await;
    assert!((4_000..=18_000).contains(&before), "{before} recorded");
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

/// The service has taken every connection of the pool the relay was given, and then the server has none left for it either.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_all_taken_are_waited_for() {
    let Some(rig) = Rig::new(2, &[]).await else { return };
    rig.set_lease(3000).await;
    let role = format!("r_{}", uuid::Uuid::new_v4().simple());
    let run = async |statements: String| {
        rig.db.pool.execute(sqlx::raw_sql(AssertSqlSafe(statements))).await.unwrap();
    };
    run(format!(
        "CREATE ROLE {role} LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}"
    ))
    .await;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect_lazy_with(rig.db.options.clone().username(&role));
    let only = pool.acquire().await.unwrap();
    let mut ledger = rig.fill(500, 20).await;
    let relay = Relay::builder(PostgresStore::new(pool.clone()), rig.publisher()).build().unwrap();
    let relay = relay.start().await.unwrap();
    soon("500 acks", relay.wait_for(|stats| stats.acked >= 500)).await.unwrap();
    run(format!("ALTER ROLE {role} CONNECTION LIMIT 0")).await;
    run(format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}' AND application_name LIKE 'eventferry%'"
    ))
    .await;
    for (aggregate, ids) in rig.fill(500, 20).await.0 {
        ledger.0.entry(aggregate).or_default().extend(ids);
    }
    soon("the end of its leases", relay.wait_for(|stats| stats.lanes == 0))
        .await
        .unwrap();
    run(format!("ALTER ROLE {role} CONNECTION LIMIT -1")).await;
    soon("1,000 acks", relay.wait_for(|stats| stats.acked >= 1_000)).await.unwrap();
    let stats = relay.stop().await.unwrap();
    drop(only);
    pool.close().await;
    run(format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    let comparison = rig.compare(&ledger).await;
    assert!(comparison.holds(), "{comparison:?}");
    assert_eq!((stats.failed, stats.dead, stats.strays), (0, 0, 0), "{stats:?}");
}
