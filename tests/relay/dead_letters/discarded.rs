//! Waiting events that somebody discards.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use eventferry::outbox::{Move, Status};
use eventferry::publish::kafka::KafkaPublisher;
use eventferry::publish::{Delivery, PublishError, PublishErrorKind, Publisher};
use eventferry::store::{Moved, Operate, ShowPayload};
use eventferry::{IncomingMessage, Message, MessageId, RetryPolicy};
use tokio::sync::Notify;

use super::{Judging, alice, ids};
use crate::rig::{Rig, soon};

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
        .publish_deadline(Duration::from_mins(5))
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
