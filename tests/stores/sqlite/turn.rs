//! A relay's writes get their turn beside writers that follow each other closely.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use eventferry::outbox::NewRecord;
use eventferry::store::{Doing, RelayId};
use eventferry::{OpenTransaction, Store, StoreErrorKind};
use sqlx::{SqlitePool, query, query_scalar};
use tokio::task::JoinSet;

use super::{Fresh, open};

const WRITERS: usize = 8;

/// Writers that never pause, and how many transactions they have committed.
struct Crowd {
    committed: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    writers: JoinSet<()>,
}

impl Crowd {
    async fn gather(outbox: &Fresh) -> Self {
        let (committed, over) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let mut writers = JoinSet::new();
        let pool = open(&outbox.file).await;
        for writer in 0..WRITERS {
            let (pool, table, committed, over) = (pool.clone(), outbox.table.clone(), Arc::clone(&committed), Arc::clone(&over));
            writers.spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let Ok(mut tx) = pool.begin_with("BEGIN IMMEDIATE").await else {
                        continue;
                    };
                    for n in 0..20 {
                        let event = NewRecord::new("orders", "order", &format!("{writer}/{n}"), "OrderCreated", Some(b"{}".to_vec()));
                        tx.insert(&table, vec![event]).await.unwrap();
                    }
                    tx.commit().await.unwrap();
                    committed.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Self { committed, over, writers }
    }

    /// How many of the crowd's transactions go before this.
    async fn before(&self, write: impl Future<Output = ()>) -> u64 {
        let before = self.committed.load(Ordering::Relaxed);
        write.await;
        self.committed.load(Ordering::Relaxed) - before
    }

    async fn disperse(self) {
        self.over.store(true, Ordering::Relaxed);
        self.writers.join_all().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relays_write_waits_for_far_fewer_writers_than_one_that_leaves_it_to_the_busy_timeout() {
    const ROUNDS: usize = 15;
    let outbox = Fresh::new().await;
    let relay = RelayId::random();
    outbox.store.open(relay).await.unwrap();
    let crowd = Crowd::gather(&outbox).await;
    let at_work = async {
        while crowd.committed.load(Ordering::Relaxed) < 20 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), at_work)
        .await
        .expect("the crowd is at work");
    let (mut plain, mut asking) = (0, 0);
    for _ in 0..ROUNDS {
        let touch = query("UPDATE outbox_relay SET seen_at = seen_at").execute(&outbox.pool);
        plain += crowd.before(async { assert!(touch.await.is_ok()) }).await;
        let renew = outbox.store.forgive(relay, &[]);
        asking += crowd.before(async { renew.await.unwrap() }).await;
    }
    crowd.disperse().await;
    assert!(
        plain > asking * 2,
        "of {ROUNDS} writes each: {plain} transactions went before by the busy timeout, {asking} before a relay's"
    );
}

async fn patience(pool: &SqlitePool) -> i64 {
    query_scalar("PRAGMA busy_timeout").fetch_one(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_gives_up_when_the_pools_busy_timeout_is_over_and_leaves_its_connection_as_it_was() {
    let mut outbox = Fresh::new().await;
    let before = patience(&outbox.pool).await;
    let options = super::options(&outbox.file).busy_timeout(Duration::from_millis(300));
    let hasty = sqlx::sqlite::SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options)
        .await
        .unwrap();
    let holder = outbox.pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    outbox.store = eventferry::store::sqlite::SqliteStore::new(hasty.clone());
    let relay = RelayId::random();
    let error = outbox.store.renew(relay, &[], Doing::Sharing).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Contention);
    assert_eq!(patience(&hasty).await, 300);
    // Whoever stops waiting does not take the connection with them.
    let call = outbox.store.renew(relay, &[], Doing::Sharing);
    assert!(tokio::time::timeout(Duration::from_millis(50), call).await.is_err());
    assert_eq!(patience(&hasty).await, 300);
    holder.rollback().await.unwrap();
    outbox.store.renew(relay, &[], Doing::Sharing).await.unwrap();
    assert_eq!((patience(&hasty).await, patience(&outbox.pool).await), (300, before));
}
