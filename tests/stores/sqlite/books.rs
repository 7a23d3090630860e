//! The journal that a verification keeps in the file.

use std::collections::BTreeSet;
use std::time::Duration;

use eventferry::publish::memory::MemoryPublisher;
use eventferry::relay::Relay;
use eventferry::testing::verify::{Arrivals, Books, Checker, SqliteBooks, Workload, Writers};
use eventferry::{IncomingMessage, Topic};
use sqlx::sqlite::SqlitePoolOptions;

use super::{Fresh, open};

/// A transaction that begins writes at once, with its first insert, or after it has read: whatever is in its way, the journal says of the
/// table exactly what is in it, in the order of the ids.
#[tokio::test(flavor = "multi_thread")]
async fn what_overlapping_writers_enter_is_what_their_transactions_left() {
    let outbox = Fresh::new().await;
    // Shorter than the time a writer gives a transaction: who waits for too long is told to repeat, and has not failed.
    let options = super::options(&outbox.file).busy_timeout(Duration::from_secs(5));
    let pool = SqlitePoolOptions::new().max_connections(8).connect_with(options).await.unwrap();
    let books = SqliteBooks::open(pool.clone()).await.unwrap();
    SqliteBooks::open(pool).await.unwrap();
    let workload = Workload::new(11).aggregates(5).bulk(40).pause(Duration::from_millis(4));
    let writers = Writers::start(&workload, &books, &outbox.table, &Topic::new("orders").unwrap());
    tokio::time::timeout(Duration::from_mins(1), async {
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        while writers.written().rolled_back < 20 || writers.written().repeated < 20 {
            tick.tick().await;
        }
    })
    .await
    .expect("nobody is in anybody's way");
    let written = writers.stop().await;
    assert_eq!(written.failed, 0, "{written}");

    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as("SELECT aggregate_id, message_id FROM outbox ORDER BY aggregate_id, id")
        .fetch_all(&outbox.pool)
        .await
        .unwrap();
    let journal: Vec<(String, Vec<u8>, i64)> =
        sqlx::query_as("SELECT aggregate, message_id, n FROM eventferry_verify_journal ORDER BY aggregate, n")
            .fetch_all(&outbox.pool)
            .await
            .unwrap();
    assert_eq!(u64::try_from(rows.len()).unwrap(), written.events, "{written}");
    assert_eq!(journal.len(), rows.len());
    let mut numbers = std::collections::BTreeMap::new();
    for ((aggregate, id), (entered, entered_id, n)) in rows.iter().zip(&journal) {
        assert_eq!((aggregate, id), (entered, entered_id));
        let next = numbers.entry(aggregate).or_insert(1);
        assert_eq!(n, next, "{aggregate}");
        *next += 1;
    }
    assert_eq!(books.read().await.unwrap().len(), rows.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checker_and_a_relay_agree_about_the_file() {
    let outbox = Fresh::new().await;
    let books = SqliteBooks::open(outbox.pool.clone()).await.unwrap();
    let broker = MemoryPublisher::new();
    let store = eventferry::store::sqlite::SqliteStore::new(open(&outbox.file).await);
    let relay = Relay::builder(store, broker.clone()).build().unwrap().start().await.unwrap();
    let workload = Workload::new(12).pause(Duration::from_millis(4));
    let writers = Writers::start(&workload, &books, &outbox.table, &Topic::new("orders").unwrap());
    let bounded = |acked| tokio::time::timeout(Duration::from_mins(1), relay.wait_for(move |stats| stats.acked >= acked));
    bounded(300).await.unwrap().unwrap();
    let written = writers.stop().await;
    let journal = books.read().await.unwrap();
    bounded(written.events).await.unwrap().unwrap();
    relay.stop().await.unwrap();

    let mut arrivals = Arrivals::new();
    let mut seen = BTreeSet::new();
    for (message, place) in broker.messages("orders").iter().zip(0..) {
        seen.insert(message.message_id());
        arrivals.arrive(message, std::time::SystemTime::UNIX_EPOCH, (0, place));
    }
    let report = Checker::new().check(&journal, &arrivals);
    assert!(report.holds() && report.committed == seen.len(), "{written}\n{report}");
    assert_eq!(u64::try_from(report.committed).unwrap(), written.events);
}
