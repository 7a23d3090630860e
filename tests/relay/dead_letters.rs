//! Events that die: only the one at fault, where it goes, when its row says so, and what an operator does about it.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eventferry::event::Operator;
use eventferry::outbox::{Move, OnDead, Status};
use eventferry::publish::kafka::KafkaPublisher;
use eventferry::publish::{Delivery, PublishError, PublishErrorKind, Publisher};
use eventferry::store::{Moved, Operate, RowFilter, ShowPayload, StoredRow};
use eventferry::{IncomingMessage, Message, MessageId, RetryPolicy, Topic};
use eventferry_tests::kafka::{Logged, TestTopic};
use tokio::sync::Notify;

use crate::rig::{Ledger, Process, Rig, soon};

fn quick() -> RetryPolicy {
    RetryPolicy::fixed(Duration::from_millis(50))
}

fn alice() -> Operator {
    Operator::new("alice").unwrap()
}

/// Kafka by single calls, but for what `judge` refuses.
struct Judging<J> {
    kafka: KafkaPublisher,
    judge: J,
    calls: Mutex<Vec<String>>,
}

impl<J> Judging<J> {
    fn new(rig: &Rig, judge: J) -> Self {
        Self {
            kafka: rig.publisher(),
            judge,
            calls: Mutex::default(),
        }
    }
}

impl<J: Fn(&Message, usize) -> Option<PublishError> + Send + Sync + 'static> Publisher for Judging<J> {
    async fn publish(&self, message: &Message) -> Result<Delivery, PublishError> {
        let so_far = {
            let id = message.message_id().unwrap().to_string();
            let mut calls = self.calls.lock().unwrap();
            calls.push(id.clone());
            calls.iter().filter(|call| **call == id).count()
        };
        match (self.judge)(message, so_far) {
            Some(error) => Err(error),
            None => self.kafka.publish(message).await,
        }
    }
}

/// Status, attempts and last error of a row.
async fn row(rig: &Rig, id: MessageId) -> (i16, i32, Option<String>) {
    sqlx::query_as("select status, attempts, last_error from outbox where message_id = $1")
        .bind(uuid::Uuid::from(id))
        .fetch_one(&rig.db.pool)
        .await
        .unwrap()
}

async fn until_status(rig: &Rig, id: MessageId, status: Status) {
    soon(&format!("status {status:?}"), async {
        while row(rig, id).await.0 != status.code() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn none_waits(rig: &Rig) {
    soon("the end of the backlog", async {
        let waiting = "select exists (select from outbox where status in (0, 1, 3))";
        while sqlx::query_scalar(waiting).fetch_one(&rig.db.pool).await.unwrap() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn ids(log: &[Logged], aggregate: &str) -> Vec<MessageId> {
    let of_it = log.iter().filter(|logged| logged.aggregate_id() == Some(aggregate));
    of_it.map(|logged| logged.message_id().unwrap()).collect()
}

/// `count` events of one aggregate, the one in the middle larger than its topic allows.
async fn with_a_large_one(rig: &Rig, aggregate: &str, count: u64) -> (Vec<MessageId>, MessageId) {
    let mut records: Vec<_> = (0..count).map(|n| rig.record(aggregate, n)).collect();
    let middle = records.len() / 2;
    records[middle].payload = Some(vec![b'x'; 5_000]);
    let large = records[middle].message_id;
    (rig.write(records).await, large)
}

/// Only ids that are first in the log, in its order.
fn first_arrivals(ids: Vec<MessageId>) -> Vec<MessageId> {
    let mut seen = std::collections::HashSet::new();
    ids.into_iter().filter(|id| seen.insert(*id)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_events_of_one_aggregate_only_the_one_too_large_dies() {
    let Some(rig) = Rig::new(1, &[("max.message.bytes", "3000")]).await else {
        return;
    };
    let (all, large) = with_a_large_one(&rig, "a", 1_000).await;
    let relay = rig.relay().max_attempts(3).retry(quick()).build().unwrap().start().await.unwrap();
    soon("all acks", relay.wait_for(|stats| stats.acked >= 999 && stats.dead == 1))
        .await
        .unwrap();
    let (status, attempts, error) = row(&rig, large).await;
    assert_eq!(
        (status, attempts),
        (Status::Dead.code(), 0),
        "what can never be delivered costs no attempt: {error:?}"
    );
    assert!(error.unwrap().to_lowercase().contains("large"));
    let counted: i64 = sqlx::query_scalar("select count(*) from outbox where attempts > 0")
        .fetch_one(&rig.db.pool)
        .await
        .unwrap();
    assert_eq!(
        counted, 0,
        "neighbours in its batch are refused with it, and that is nobody's attempt"
    );
    let expected: Vec<_> = all.into_iter().filter(|id| *id != large).collect();
    assert_eq!(first_arrivals(ids(&rig.topic.log().await, "a")), expected);
    let end = relay.stop().await.unwrap();
    assert_eq!((end.dead, end.failed, end.strays), (1, 0, 0), "{end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_decides_about_what_holds_and_the_order_stands() {
    let Some(rig) = Rig::new(2, &[("max.message.bytes", "3000")]).await else {
        return;
    };
    rig.set_lease(1_500).await;
    let (requeued, requeued_large) = with_a_large_one(&rig, "requeued", 1_000).await;
    let (released, released_large) = with_a_large_one(&rig, "released", 40).await;
    let (discarded, discarded_large) = with_a_large_one(&rig, "discarded", 40).await;
    let healthy = rig.write((0..100).map(|n| rig.record("healthy", n)).collect()).await;
    let relay = rig
        .relay()
        .max_attempts(3)
        .retry(quick())
        .on_dead(OnDead::Hold)
        .build()
        .unwrap()
        .start()
        .await
        .unwrap();
    soon("all that may go", relay.wait_for(|stats| stats.acked >= 640 && stats.dead == 3))
        .await
        .unwrap();
    let store = rig.store();
    let holding = store.list(&RowFilter::dead().status(Status::DeadHolding), 0, 10).await.unwrap();
    let listed: Vec<_> = holding.iter().map(|row| row.record.message_id).collect();
    assert_eq!(listed, [requeued_large, released_large, discarded_large]);
    let log = rig.topic.log().await;
    assert_eq!(first_arrivals(ids(&log, "requeued")), requeued[..500]);
    assert_eq!(first_arrivals(ids(&log, "released")), released[..20]);
    assert_eq!(first_arrivals(ids(&log, "discarded")), discarded[..20]);
    assert_eq!(first_arrivals(ids(&log, "healthy")), healthy);

    assert_eq!(store.release_held(released_large, &alice()).await.unwrap(), Moved::To(Status::Dead));
    assert_eq!(store.discard(discarded_large, &alice()).await.unwrap(), Moved::To(Status::Done));
    soon("their successors", relay.wait_for(|stats| stats.acked >= 640 + 38))
        .await
        .unwrap();
    let without = |all: &[MessageId], one: MessageId| -> Vec<_> { all.iter().copied().filter(|id| *id != one).collect() };
    let log = rig.topic.log().await;
    assert_eq!(first_arrivals(ids(&log, "released")), without(&released, released_large));
    assert_eq!(first_arrivals(ids(&log, "discarded")), without(&discarded, discarded_large));
    assert_eq!(first_arrivals(ids(&log, "requeued")), requeued[..500], "it is still held");

    rig.topic.set(&[("max.message.bytes", "100000")]).await;
    assert_eq!(store.requeue(requeued_large, &alice()).await.unwrap(), Moved::To(Status::Failed));
    soon("the rest", relay.wait_for(|stats| stats.acked >= 640 + 38 + 500))
        .await
        .unwrap();
    assert_eq!(
        first_arrivals(ids(&rig.topic.log().await, "requeued")),
        requeued,
        "the requeued one is in its place before its successors"
    );
    assert_eq!(row(&rig, requeued_large).await.0, Status::Done.code());
    assert_eq!(relay.stop().await.unwrap().strays, 0);
}

/// Everything of the event stays; what killed it is told beside it, cut, and holds nothing of the event.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_says_what_it_was_and_why() {
    let Some(rig) = Rig::new(1, &[]).await else { return };
    let dlq = TestTopic::create(&rig.kafka, 3, &[]).await;
    let reason = "ä".repeat(3_000);
    let said = reason.clone();
    let publisher = Judging::new(&rig, move |message: &Message, _| {
        let bad = message.payload() == Some(b"SECRET-4111") && message.header("dlq-reason").is_none();
        bad.then(|| PublishError::new(PublishErrorKind::Retriable, said.clone()))
    });
    let mut bad = rig.record("a", 1);
    bad.payload = Some(b"SECRET-4111".to_vec());
    bad.key = Some("the-key".to_owned());
    bad.partition = Some(0);
    bad.headers.set("tenant-id", "7");
    let id = bad.message_id;
    rig.write(vec![rig.record("a", 0), bad, rig.record("a", 2)]).await;
    let relay = eventferry::relay::Relay::builder(rig.store(), publisher)
        .max_attempts(3)
        .retry(quick())
        .dead_letter_topic(&Topic::new(dlq.name()).unwrap())
        .build()
        .unwrap()
        .start()
        .await
        .unwrap();
    soon("all acks", relay.wait_for(|stats| stats.acked >= 2 && stats.dead == 1))
        .await
        .unwrap();
    relay.stop().await.unwrap();
    let (status, attempts, error) = row(&rig, id).await;
    assert_eq!(
        (status, attempts),
        (Status::Dead.code(), 3),
        "the attempt that was the last is counted"
    );
    assert!(
        error.as_ref().is_some_and(|error| error.len() <= 2_000 && error.starts_with("ää")),
        "{error:?}"
    );
    let log = dlq.log().await;
    assert_eq!(log.len(), 1);
    let letter = &log[0];
    let header = |name: &str| letter.text_header(name).unwrap_or_else(|| panic!("no header {name}"));
    assert_eq!(letter.payload.as_deref(), Some(&b"SECRET-4111"[..]));
    assert_eq!(letter.key.as_deref(), Some(&b"the-key"[..]));
    assert_eq!((header("message-id"), header("tenant-id")), (id.to_string().as_str(), "7"));
    assert_eq!(
        (header("event-type"), header("aggregate-id"), header("event-version")),
        ("Happened", "a", "1")
    );
    assert_eq!((header("dlq-original-topic"), header("dlq-attempts")), (rig.topic.name(), "3"));
    assert_eq!(header("dlq-error-class"), "retriable");
    assert!(header("dlq-failed-at").ends_with('Z'));
    assert_eq!(header("dlq-reason").len(), 1_000, "cut, and not within a character");
    for (name, value) in &letter.headers {
        let value = String::from_utf8_lossy(value.as_deref().unwrap_or_default()).into_owned();
        assert!(!value.contains("4111") && !value.contains("the-key"), "{name}");
    }
}

/// A dead letter that cannot be delivered: its row waits, and its successors wait with it.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_dead_letter_topic_is_missing_the_row_waits_and_none_passes_it() {
    for (on_dead, dead, arrived) in [(OnDead::Continue, Status::Dead, 19), (OnDead::Hold, Status::DeadHolding, 10)] {
        let Some(rig) = Rig::new(1, &[("max.message.bytes", "3000")]).await else {
            return;
        };
        rig.set_lease(1_500).await;
        let dlq = TestTopic::unborn(&rig.kafka);
        let (all, large) = with_a_large_one(&rig, "a", 20).await;
        let healthy = rig.write((0..20).map(|n| rig.record("b", n)).collect()).await;
        let relay = rig
            .relay()
            .max_attempts(1)
            .retry(quick())
            .on_dead(on_dead)
            .dead_letter_topic(&Topic::new(dlq.name()).unwrap())
            .build()
            .unwrap()
            .start()
            .await
            .unwrap();
        // Refused three times and more: the dead letter has been tried as often.
        soon("attempts", relay.wait_for(|stats| stats.acked >= 30 && stats.failed >= 3))
            .await
            .unwrap();
        let (status, _, error) = row(&rig, large).await;
        assert_eq!(status, Status::Failed.code());
        let error = error.unwrap();
        assert!(error.contains("dead-letter topic"), "{error}");
        let log = rig.topic.log().await;
        assert_eq!(first_arrivals(ids(&log, "a")), all[..10], "{on_dead:?}");
        assert_eq!(first_arrivals(ids(&log, "b")), healthy);
        dlq.be_born(1, &[]).await;
        until_status(&rig, large, dead).await;
        assert_eq!(dlq.log().await.first().and_then(IncomingMessage::message_id), Some(large));
        soon("the rest", relay.wait_for(|stats| stats.acked >= 20 + arrived as u64))
            .await
            .unwrap();
        let expected: Vec<_> = all.iter().copied().filter(|id| *id != large).take(arrived).collect();
        assert_eq!(first_arrivals(ids(&rig.topic.log().await, "a")), expected);
        relay.stop().await.unwrap();
    }
}

/// The relay is killed when the dead letter is delivered and its row does not say so yet: it is delivered once more, and none passes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_killed_between_the_dead_letter_and_its_row_delivers_it_again() {
    let Some(rig) = Rig::new(1, &[("max.message.bytes", "3000")]).await else {
        return;
    };
    rig.set_lease(1_500).await;
    let dlq = TestTopic::create(&rig.kafka, 1, &[]).await;
    let (all, large) = with_a_large_one(&rig, "a", 20).await;
    // Somebody's open transaction keeps the row from being marked.
    let mut open = rig.db.pool.begin().await.unwrap();
    sqlx::query("select from outbox where message_id = $1 for update")
        .bind(uuid::Uuid::from(large))
        .execute(&mut *open)
        .await
        .unwrap();
    let options = ["--max-attempts", "1", "--retry-ms", "50", "--dead-letter", dlq.name()];
    let first = Process::start_with(&rig, &options).await;
    soon("the dead letter", async { while dlq.log().await.is_empty() {} }).await;
    assert_eq!(row(&rig, large).await.0, Status::Pending.code(), "marked before its time");
    first.kill().await;
    // What it had asked of the server may outlive it.
    soon("the end of its sessions", async {
        let sessions =
            "select exists (select from pg_stat_activity where datname = current_database() and application_name like 'eventferry%')";
        while sqlx::query_scalar(sessions).fetch_one(&rig.db.pool).await.unwrap() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    open.rollback().await.unwrap();
    assert_eq!(row(&rig, large).await.0, Status::Pending.code());
    let second = Process::start_with(&rig, &options).await;
    until_status(&rig, large, Status::Dead).await;
    none_waits(&rig).await;
    second.stop().await;
    let letters: Vec<_> = dlq.log().await.iter().map(|letter| letter.message_id().unwrap()).collect();
    assert!(letters.len() >= 2 && letters.iter().all(|id| *id == large), "{letters:?}");
    let expected: Vec<_> = all.into_iter().filter(|id| *id != large).collect();
    assert_eq!(first_arrivals(ids(&rig.topic.log().await, "a")), expected);
}

/// Refused fifty times and delivered at the fifty-first.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_limit_of_attempts_an_event_is_tried_for_ever() {
    const REFUSALS: usize = 50;
    let Some(rig) = Rig::new(1, &[]).await else { return };
    let all = rig.write((0..5).map(|n| rig.record("a", n)).collect()).await;
    let bad = all[2].to_string();
    let publisher = Judging::new(&rig, move |message: &Message, so_far| {
        (message.text_header("message-id") == Some(bad.as_str()) && so_far <= REFUSALS)
            .then(|| PublishError::new(PublishErrorKind::Retriable, "not yet"))
    });
    let relay = eventferry::relay::Relay::builder(rig.store(), publisher)
        .max_attempts(0)
        .retry(RetryPolicy::fixed(Duration::from_millis(1)))
        .build()
        .unwrap()
        .start()
        .await
        .unwrap();
    soon("all acks", relay.wait_for(|stats| stats.acked >= 5)).await.unwrap();
    let end = relay.stop().await.unwrap();
    assert_eq!((end.failed, end.dead), (REFUSALS as u64, 0));
    assert_eq!(row(&rig, all[2]).await.1, i32::try_from(REFUSALS).unwrap());
    assert_eq!(first_arrivals(ids(&rig.topic.log().await, "a")), all);
}

/// It would be tried again in an hour, and its aggregate would wait as long.
#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_event_that_is_discarded_lets_its_successors_go_at_once() {
    let Some(rig) = Rig::new(1, &[]).await else { return };
    let all = rig.write((0..5).map(|n| rig.record("a", n)).collect()).await;
    let bad = all[2];
    let publisher = Judging::new(&rig, move |message: &Message, _| {
        (message.message_id() == Some(bad)).then(|| PublishError::new(PublishErrorKind::Retriable, "not yet"))
    });
    let relay = eventferry::relay::Relay::builder(rig.store(), publisher)
        .retry(RetryPolicy::fixed(Duration::from_hours(1)))
        .build()
        .unwrap()
        .start()
        .await
        .unwrap();
    soon("the refusal", relay.wait_for(|stats| stats.acked >= 2 && stats.failed == 1))
        .await
        .unwrap();
    let asked = std::time::Instant::now();
    assert_eq!(rig.store().discard(bad, &alice()).await.unwrap(), Moved::Asked);
    soon("its successors", relay.wait_for(|stats| stats.acked >= 4)).await.unwrap();
    eprintln!("heard of after {:?}", asked.elapsed());
    let end = relay.stop().await.unwrap();
    assert_eq!((end.discarded, end.dead, end.failed), (1, 0, 1));
    let expected: Vec<_> = all.into_iter().filter(|id| *id != bad).collect();
    assert_eq!(ids(&rig.topic.log().await, "a"), expected);
    assert_eq!(discarded_by(&rig, bad).await.as_deref(), Some("alice"));
}

/// Who discarded a row, if it was discarded.
async fn discarded_by(rig: &Rig, id: MessageId) -> Option<String> {
    let row = rig.store().show(id, ShowPayload::Leave).await.unwrap().unwrap();
    assert_eq!(row.record.status, Status::Done);
    row.trace(Move::Discard).map(|trace| trace.by.to_owned())
}

/// A retry is on its way when an operator asks to discard the event: nothing may pass it, and what is delivered is delivered.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_discarded_while_it_is_on_its_way_is_passed_by_none() {
    let Some(rig) = Rig::new(1, &[]).await else { return };
    let all = rig.write((0..5).map(|n| rig.record("a", n)).collect()).await;
    let (bad, gate) = (all[2], Arc::new(Gate::default()));
    let publisher = Gated {
        kafka: rig.publisher(),
        of: bad,
        gate: gate.clone(),
    };
    let relay = eventferry::relay::Relay::builder(rig.store(), publisher)
        .retry(RetryPolicy::fixed(Duration::from_millis(10)))
        .build()
        .unwrap()
        .start()
        .await
        .unwrap();
    soon("the retry", gate.reached.notified()).await;
    assert_eq!(rig.store().discard(bad, &alice()).await.unwrap(), Moved::Asked);
    // Other aggregates go on, and the relay looks at what is due meanwhile: time enough to do something wrong.
    for n in 0..5 {
        rig.write((0..20).map(|m| rig.record("b", n * 20 + m)).collect()).await;
        soon("the others", relay.wait_for(|stats| stats.acked >= 2 + (n + 1) * 20))
            .await
            .unwrap();
        let discarded = tokio::time::timeout(Duration::from_millis(200), relay.wait_for(|stats| stats.discarded > 0)).await;
        assert!(discarded.is_err(), "settled while it was on its way");
    }
    assert_eq!(ids(&rig.topic.log().await, "a"), all[..2], "its successors wait for it");
    gate.open.notify_one();
    soon("the rest", relay.wait_for(|stats| stats.acked >= 105)).await.unwrap();
    relay.stop().await.unwrap();
    assert_eq!(ids(&rig.topic.log().await, "a"), all);
    assert_eq!(
        discarded_by(&rig, bad).await,
        None,
        "it was delivered, and its row does not say otherwise"
    );
}

#[derive(Default)]
struct Gate {
    calls: AtomicUsize,
    reached: Notify,
    open: Notify,
}

/// Kafka by single calls; one event is refused at first, and its second call waits at a gate.
struct Gated {
    kafka: KafkaPublisher,
    of: MessageId,
    gate: Arc<Gate>,
}

impl Publisher for Gated {
    async fn publish(&self, message: &Message) -> Result<Delivery, PublishError> {
        if message.message_id() == Some(self.of) {
            if self.gate.calls.fetch_add(1, Relaxed) == 0 {
                return Err(PublishError::new(PublishErrorKind::Retriable, "not yet"));
            }
            self.gate.reached.notify_one();
            self.gate.open.notified().await;
        }
        self.kafka.publish(message).await
    }
}

/// Without a dead-letter topic the table is where it stays, with what was last said, and nothing purges it.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_dead_letter_topic_it_stays_in_the_table_with_its_last_error() {
    let Some(rig) = Rig::new(1, &[]).await else { return };
    let mut ledger = Ledger::default();
    let all = rig.write((0..5).map(|n| rig.record("a", n)).collect()).await;
    let bad = all[2];
    ledger
        .0
        .insert("a".to_owned(), all.iter().copied().filter(|id| *id != bad).collect());
    let publisher = Judging::new(&rig, move |message: &Message, so_far| {
        (message.message_id() == Some(bad)).then(|| PublishError::new(PublishErrorKind::Retriable, format!("refusal {so_far}")))
    });
    let relay = eventferry::relay::Relay::builder(rig.store(), publisher)
        .max_attempts(4)
        .retry(quick())
        .retention(eventferry::Retention::Keep(Duration::ZERO))
        .build()
        .unwrap()
        .start()
        .await
        .unwrap();
    soon("all acks", relay.wait_for(|stats| stats.acked >= 4 && stats.dead == 1))
        .await
        .unwrap();
    let end = relay.stop().await.unwrap();
    assert_eq!(end.failed, 3, "the fourth is the one it died of");
    let dead: Vec<StoredRow> = rig.store().list(&RowFilter::dead(), 0, 10).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].record.message_id, dead[0].record.attempts), (bad, 4));
    assert_eq!(dead[0].last_error.as_deref(), Some("refusal 4"));
    assert!(rig.compare(&ledger).await.holds());
}
