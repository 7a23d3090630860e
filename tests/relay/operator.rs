//! An operator at work beside a running relay, and a consumer that remembers positions only.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::time::{Duration, SystemTime};

use eventferry::consume::Inbox;
use eventferry::event::Operator;
use eventferry::outbox::{Move, NewRecord, OnDead, Status};
use eventferry::publish::kafka::KafkaPublisher;
use eventferry::relay::Relay;
use eventferry::store::postgres::PostgresStore;
use eventferry::store::{Operate, RowFilter};
use eventferry::{IncomingMessage, MessageId, Retention, RetryPolicy, Topic};
use eventferry_tests::kafka::{Logged, TestTopic};
use sqlx::Row;

use crate::rig::{Rig, soon};

const EVENTS: u64 = 1_200;
const AGGREGATES: u64 = 12;
/// Rounds of the operator while events are written.
const ROUNDS: usize = 12;

fn quick() -> RetryPolicy {
    RetryPolicy::fixed(Duration::from_millis(20))
}

/// Most are ordinary; some are too large for their topic, some have a delivery time, some no place in the order, some several of these.
fn event(rig: &Rig, other: &TestTopic, rng: &mut fastrand::Rng, n: u64) -> NewRecord {
    let aggregate = n % AGGREGATES;
    let mut record = rig.record(&format!("a{aggregate}"), n);
    // The first third writes to the topic that holds, the second to the other one, the last to both.
    if aggregate >= 8 && rng.bool() || (4..8).contains(&aggregate) {
        other.name().clone_into(&mut record.topic);
    }
    if rng.f64() < 0.06 {
        record.payload = Some(vec![b'x'; 5_000]);
    }
    if rng.f64() < 0.06 {
        record.ordered = false;
    }
    if rng.f64() < 0.06 {
        record.deliver_at = Some(soon_after(Duration::from_millis(rng.u64(0..1_500))));
    }
    record
}

#[expect(clippy::disallowed_methods, reason = "the database's clock is this machine's")]
fn soon_after(wait: Duration) -> SystemTime {
    SystemTime::now() + wait
}

async fn write_all(rig: &Rig, other: &TestTopic, mut rng: fastrand::Rng) {
    let mut n = 0;
    while n < EVENTS {
        let count = rng.u64(1..=8).min(EVENTS - n);
        let records = (n..n + count).map(|n| event(rig, other, &mut rng, n)).collect();
        rig.write(records).await;
        n += count;
    }
}

/// A relay under whose rules one topic's dead events hold their aggregates, and the other's do not.
fn relay(rig: &Rig) -> Relay<PostgresStore, KafkaPublisher> {
    rig.relay()
        .max_attempts(2)
        .retry(quick())
        .topic(&Topic::new(rig.topic.name()).unwrap(), 2, quick(), OnDead::Hold)
        .build()
        .unwrap()
}

/// Relays that are cut off in the middle of whatever they do: their lanes move only when their leases are over.
async fn short_lives(rig: &Rig, mut rng: fastrand::Rng) -> std::convert::Infallible {
    loop {
        let relay = relay(rig);
        let (tell, told) = tokio::sync::oneshot::channel();
        let mut life = Life(Some(tokio::runtime::Runtime::new().unwrap()));
        life.run(async move {
            let relay = relay.start().await.unwrap();
            relay.wait_for(|stats| stats.lanes > 0).await.unwrap();
            tell.send(()).unwrap();
            drop(relay.wait_for(|_| false).await);
        });
        drop(told.await);
        let wait = Duration::from_millis(rng.u64(100..600));
        drop(tokio::time::timeout(wait, std::future::pending::<()>()).await);
        drop(life);
    }
}

/// A runtime whose tasks end where they stand.
struct Life(Option<tokio::runtime::Runtime>);

impl Life {
    fn run(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        drop(self.0.as_ref().map(|runtime| runtime.spawn(work)));
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Every move, from every kind of row that it begins from.
const EVERY_MOVE: [&str; 5] = [
    "Requeue To(Failed)",
    "Requeue To(Scheduled)",
    "Release To(Dead)",
    "Discard To(Done)",
    "Discard Asked",
];

type Did = BTreeMap<String, u32>;

/// What is to become of a dead row: at first whatever was not done yet, then anything.
fn wish(status: Status, did: &Did, rng: &mut fastrand::Rng) -> Option<Move> {
    let not_yet = |what: &str| !did.contains_key(what);
    match (status, rng.u8(0..20)) {
        (Status::DeadHolding, _) if not_yet("Release To(Dead)") => Some(Move::Release),
        (Status::DeadHolding, _) if not_yet("Requeue To(Failed)") => Some(Move::Requeue),
        (Status::DeadHolding, 0..6) => Some(Move::Release),
        (_, 0..12) => Some(Move::Requeue),
        (_, 12..16) => Some(Move::Discard),
        (_, _) => None,
    }
}

/// Decides about whatever is dead or waits, as it comes, until every move was made; answers how often it did what.
async fn operate(rig: &Rig, mut rng: fastrand::Rng) -> Did {
    let store = rig.store();
    let mut did = Did::new();
    let mut round = 0;
    while round < ROUNDS || EVERY_MOVE.iter().any(|what| !did.contains_key(*what)) {
        let by = Operator::new(format!("operator-{round}")).unwrap();
        for row in store.list(&RowFilter::dead(), 0, 1_000).await.unwrap() {
            if let Some(what) = wish(row.record.status, &did, &mut rng) {
                let moved = store.apply(what, row.record.message_id, &by).await.unwrap();
                *did.entry(format!("{what:?} {moved:?}")).or_default() += 1;
            }
        }
        for row in store.list(&RowFilter::waiting(), 0, 1_000).await.unwrap() {
            if rng.u8(0..6) == 0 {
                let moved = store.discard(row.record.message_id, &by).await.unwrap();
                *did.entry(format!("Discard {moved:?}")).or_default() += 1;
            }
        }
        if round % 4 == 3 {
            // The relay forgets all it has read, in the middle of everything.
            let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                       where datname = current_database() and application_name like 'eventferry%'";
            count(rig, cut).await;
        }
        // An operator is slower than a relay.
        drop(tokio::time::timeout(Duration::from_millis(150), std::future::pending::<()>()).await);
        round += 1;
    }
    did
}

/// Reads all logs from their starts, one partition after the other in any order, and handles what the inbox calls first. A handler that
/// fails is called again with the same messages, before any that follow.
async fn consume(rig: &Rig, other: &TestTopic, rng: &mut fastrand::Rng) {
    let inbox = Inbox::new("shipping").by_position();
    let mut logs: BTreeMap<(String, i32), Vec<Logged>> = BTreeMap::new();
    for logged in rig.topic.log().await.into_iter().chain(other.log().await) {
        logs.entry((logged.topic.clone(), logged.partition)).or_default().push(logged);
    }
    let mut logs: Vec<Vec<Logged>> = logs.into_values().collect();
    rng.shuffle(&mut logs);
    for log in logs {
        for batch in log.chunks(50) {
            let fails = rng.u8(0..8) == 0;
            for commit in if fails { vec![false, true] } else { vec![true] } {
                let mut tx = rig.db.pool.begin().await.unwrap();
                for message in batch {
                    if inbox.accept(&mut tx, message).await.unwrap().is_first() {
                        sqlx::query("insert into handled (message_id, topic, unordered) values ($1, $2, $3)")
                            .bind(uuid::Uuid::from(message.message_id().unwrap()))
                            .bind(message.topic())
                            .bind(message.header("event-order").is_some())
                            .execute(&mut *tx)
                            .await
                            .unwrap();
                    }
                }
                if commit {
                    tx.commit().await.unwrap();
                } else {
                    tx.rollback().await.unwrap();
                }
            }
        }
    }
}

/// How many rows a query counts.
async fn count(rig: &Rig, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(&rig.db.pool).await.unwrap()
}

/// What the consumer did with what was written.
#[derive(Debug, Default)]
struct Seen {
    events: usize,
    handled: usize,
    discarded: usize,
    swallowed: Vec<MessageId>,
    repeated: Vec<MessageId>,
    overtaken: Vec<MessageId>,
    revived: Vec<MessageId>,
}

/// Compares what was handled with the table: each event once unless it was discarded, those with a place in its order.
async fn compare(rig: &Rig) -> Seen {
    let handled: Vec<uuid::Uuid> = sqlx::query_scalar("select message_id from handled order by place")
        .fetch_all(&rig.db.pool)
        .await
        .unwrap();
    let rows = sqlx::query("select message_id, topic, aggregate_id, ordered, headers ->> 'operator-discarded' from outbox order by id")
        .fetch_all(&rig.db.pool)
        .await
        .unwrap();
    let mut places: HashMap<MessageId, Vec<usize>> = HashMap::new();
    for (at, id) in handled.iter().enumerate() {
        places.entry(MessageId::from(*id)).or_default().push(at);
    }
    let mut seen = Seen {
        events: rows.len(),
        handled: handled.len(),
        ..Seen::default()
    };
    let mut last: HashMap<(String, String), usize> = HashMap::new();
    for row in &rows {
        let id = MessageId::from(row.get::<uuid::Uuid, _>(0));
        let places = places.get(&id).map_or(&[][..], Vec::as_slice);
        if row.get::<Option<String>, _>(4).is_some() {
            seen.discarded += 1;
            seen.revived.extend((!places.is_empty()).then_some(id));
            continue;
        }
        let Some(first) = places.first() else {
            seen.swallowed.push(id);
            continue;
        };
        seen.repeated.extend((places.len() > 1).then_some(id));
        if row.get::<bool, _>(3) {
            let last = last.entry((row.get(1), row.get(2))).or_insert(0);
            seen.overtaken.extend((first < last).then_some(id));
            *last = (*last).max(*first);
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_an_operator_does_each_event_is_handled_once_and_in_order() {
    let limit = [("max.message.bytes", "3000")];
    let Some(rig) = Rig::new(3, &limit).await else { return };
    let other = TestTopic::create(&rig.kafka, 3, &limit).await;
    rig.set_lease(1_500).await;
    sqlx::query(
        "create table handled (place bigserial primary key, message_id uuid not null, topic text not null, unordered boolean not null)",
    )
    .execute(&rig.db.pool)
    .await
    .unwrap();
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let relay = relay(&rig).start().await.unwrap();

    // All at once: events are written, an operator decides, a relay dies again and again, a consumer reads.
    let mut consumer_rng = rng.fork();
    let work = async {
        let (writer, operator) = (write_all(&rig, &other, rng.fork()), operate(&rig, rng.fork()));
        let work = async { tokio::join!(writer, operator).1 };
        tokio::select! {
            did = work => did,
            never = short_lives(&rig, rng.fork()) => match never {},
        }
    };
    let mut work = std::pin::pin!(work);
    let did = loop {
        let mut done = None;
        tokio::select! {
            did = &mut work => done = Some(did),
            () = consume(&rig, &other, &mut consumer_rng) => {}
        }
        // What was cut off in the middle was rolled back, as with a consumer that died.
        if let Some(did) = done {
            break did;
        }
    };
    eprintln!("{did:?}");

    // The cause is mended: everything that is still dead comes back.
    for topic in [&rig.topic, &other] {
        topic.set(&[("max.message.bytes", "100000")]).await;
    }
    let mender = Operator::new("mender").unwrap();
    soon("the end of all that was dead", async {
        while count(&rig, "select count(*) from outbox where status <> 2").await > 0 {
            rig.store().apply_to_all(Move::Requeue, &RowFilter::dead(), &mender).await.unwrap();
        }
    })
    .await;
    let stats = relay.stop().await.unwrap();
    for _ in 0..2 {
        consume(&rig, &other, &mut consumer_rng).await;
    }

    let outcome = compare(&rig).await;
    eprintln!("{outcome:?}; {stats:?}");
    assert_eq!(
        (outcome.events as u64, outcome.handled + outcome.discarded),
        (EVENTS, outcome.events)
    );
    assert!(
        outcome.swallowed.is_empty() && outcome.repeated.is_empty() && outcome.overtaken.is_empty() && outcome.revived.is_empty(),
        "{outcome:?}"
    );
    assert!(stats.discarded > 0 && stats.strays == 0);
    // Space: a row for each aggregate of each topic, and one for each event without a place.
    assert!(count(&rig, "select count(*) from outbox_watermark").await <= 16);
    assert_eq!(
        count(&rig, "select count(*) from outbox_inbox").await,
        count(&rig, "select count(*) from handled where unordered").await
    );
    assert_eq!(count(&rig, "select count(*) from outbox where status <> 2").await, 0);
}

/// Where acks delete their rows, what an operator discarded is left to the purge: after a week.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_discarded_is_purged_also_where_acks_delete() {
    let Some(rig) = Rig::new(1, &[]).await else { return };
    let ids = rig.write((0..2).map(|n| rig.record("a", n)).collect()).await;
    sqlx::query("update outbox set status = 4").execute(&rig.db.pool).await.unwrap();
    let by = Operator::new("alice").unwrap();
    for id in &ids {
        rig.store().discard(*id, &by).await.unwrap();
    }
    sqlx::query("update outbox set processed_at = processed_at - interval '8 days' where id = (select min(id) from outbox)")
        .execute(&rig.db.pool)
        .await
        .unwrap();
    let relay = rig.relay().retention(Retention::Delete).build().unwrap().start().await.unwrap();
    soon("the purge", async {
        while count(&rig, "select count(*) from outbox").await > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    relay.stop().await.unwrap();
    assert_eq!(rig.count(2).await, 1, "the young one stays");
}
