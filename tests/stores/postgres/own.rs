//! The servers of single tests do what the tests believe of them.

use std::path::PathBuf;
use std::time::Duration;

use eventferry::outbox::RowId;
use eventferry::store::postgres::PostgresStore;
use eventferry::store::{Doing, LaneRead, RelayId, Retention, Store, StoreErrorKind};
use eventferry_tests::own_postgres::OwnPostgres;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::postgres::support::{Outbox, event, within};

async fn number(pool: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_kill_and_a_standby_has_it_too() {
    let Some(mut primary) = OwnPostgres::start(&[]).await else { return };
    primary
        .execute("CREATE TABLE t (n int8); CREATE FUNCTION rows() RETURNS int8 LANGUAGE sql AS 'SELECT count(*) FROM t'")
        .await;
    let standby = primary.standby(&[]).await;
    primary.execute("INSERT INTO t SELECT generate_series(1, 100)").await;
    let copy = standby.pool();
    within(async { while number(&copy, "SELECT rows()").await < 100 {} }).await;
    let uncommitted = primary.pool().begin().await.unwrap();
    primary.kill().await;
    drop(uncommitted);
    primary.start_again().await;
    assert_eq!(number(&primary.pool(), "SELECT rows()").await, 100);
    primary.stop().await;
    standby.promote().await;
    standby.execute("INSERT INTO t VALUES (101)").await;
    assert_eq!(number(&copy, "SELECT rows()").await, 101);
}

/// What a relay makes of a standby's address, before and after the standby becomes the primary.
#[tokio::test]
async fn a_standby_is_refused_at_start_and_is_another_source_once_promoted() {
    let Some(primary) = OwnPostgres::start(&[("fsync", "off")]).await else {
        return;
    };
    let outbox = Outbox::on(&primary).await;
    let lane = [LaneRead::new(0, 0, 1)];
    let before = outbox.store.read(None, &lane).await.unwrap().snapshot;
    let standby = primary.standby(&[]).await;
    let pool = PgPoolOptions::new().connect_lazy_with(standby.options(outbox.database.name()));
    let there = PostgresStore::new(pool);
    let error = there.open(RelayId::random()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
    assert!(error.to_string().contains("connect to the primary"), "{error}");
    // A relay that runs already and finds itself there waits: a failover is under way.
    for answer in [
        there.read(None, &lane).await.map(drop),
        there.take(RelayId::random(), 64).await.map(drop),
        there.renew(RelayId::random(), &[], Doing::Sharing).await.map(drop),
        there
            .done(&[RowId::new(1, event("1").message_id)], Retention::default())
            .await
            .map(drop),
    ] {
        assert_eq!(answer.unwrap_err().kind(), StoreErrorKind::Unavailable);
    }
    standby.promote().await;
    there.open(RelayId::random()).await.unwrap();
    let after = there.read(None, &lane).await.unwrap().snapshot;
    assert_ne!(after.source, before.source);
}

#[tokio::test]
async fn the_wall_clock_moves_and_sleeping_takes_as_long_as_before() {
    let Some((server, clock)) = OwnPostgres::start_with_clock(&[]).await else {
        return;
    };
    let pool = server.pool();
    let now = || number(&pool, "SELECT extract(epoch FROM clock_timestamp())::int8");
    let real = now().await;
    clock.step(3600);
    assert!((3600..3660).contains(&(now().await - real)), "{} {real}", now().await);
    let asleep = sqlx::query("SELECT pg_sleep(0.2)").execute(&pool);
    tokio::time::timeout(Duration::from_secs(10), asleep).await.unwrap().unwrap();
    clock.step(-3600);
    assert!((-3600..-3540).contains(&(now().await - real)));
}

#[test]
fn nothing_is_left_behind_when_a_test_panics() {
    let (sender, receiver) = std::sync::mpsc::channel::<(u16, PathBuf)>();
    let failed = std::thread::spawn(move || {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let Some(server) = OwnPostgres::start(&[]).await else { return };
            sender.send((server.port(), server.dir().to_owned())).unwrap();
            panic!("on purpose");
        });
    })
    .join();
    let Ok((port, dir)) = receiver.recv() else {
        return;
    };
    assert!(failed.is_err());
    assert!(!dir.exists() && std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
}
