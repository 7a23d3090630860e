//! Producers: transactions that overlap, are now and then slow, and now and then roll back.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::plan::Plan;
use super::world::database_time;
use crate::event::headers::EVENT_SCHEMA;
use crate::event::{MessageId, TableName};
use crate::outbox::NewRecord;
use crate::store::memory::MemoryStore;
use crate::store::{DEFER_ABOVE, OpenTransaction};

/// What a writer did, for the ledger.
#[derive(Debug, Clone)]
pub(super) enum Deed {
    Inserted(Vec<Written>),
    Committed(Vec<Written>),
    RolledBack(Vec<Written>),
}

#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) message_id: MessageId,
    pub(super) aggregate: u64,
    pub(super) ordered: bool,
    pub(super) partition: Option<i32>,
}

/// What all writers share.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) store: MemoryStore,
    pub(super) hand: Arc<AtomicU64>,
    pub(super) plan: Rc<Plan>,
    pub(super) deeds: Rc<RefCell<Vec<Deed>>>,
    pub(super) begun: Rc<RefCell<u32>>,
}

pub(super) type Writer = Pin<Box<dyn Future<Output = ()>>>;

/// Pending as often as it was told to.
struct Pause(u32);

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        Poll::Pending
    }
}

pub(super) fn now_or_never<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the memory store answers a relay at once"),
    }
}

impl Desk {
    fn record(&self, rng: &mut fastrand::Rng, aggregate: u64) -> NewRecord {
        let main = if self.plan.one_topic { aggregate % 4 != 3 } else { rng.f64() < 0.8 };
        let payload = if rng.f64() < self.plan.deferred {
            Some(vec![7; DEFER_ABOVE + 1])
        } else if rng.f64() < 0.05 {
            None
        } else {
            Some(vec![7; rng.usize(..20)])
        };
        let topic = if main { "main" } else { "other" };
        let mut new = NewRecord::new(topic, "thing", &aggregate.to_string(), "E", payload);
        new.message_id = MessageId::from_bytes(rng.u128(..).to_be_bytes());
        // Taken from the id, so that no other draw of the seed depends on it.
        if let schema @ 1.. = new.message_id.to_string().bytes().filter(u8::is_ascii_digit).count() % 3 {
            new.headers.set(EVENT_SCHEMA, schema.to_string());
        }
        new.ordered = rng.f64() >= self.plan.unordered;
        if !self.plan.one_topic && rng.f64() < 0.05 {
            new.key = None;
        }
        if rng.f64() < self.plan.scheduled {
            new.deliver_at = Some(database_time(self.hand.load(Relaxed)) + Duration::from_millis(rng.u64(..800)));
        }
        new
    }

    fn tell(&self, deed: Deed) {
        self.deeds.borrow_mut().push(deed);
    }

    /// Writes transactions that overlap with those of the others, now and then slow, now and then rolled back.
    pub(super) async fn write(self, mut rng: fastrand::Rng) {
        while *self.begun.borrow() < self.plan.transactions {
            *self.begun.borrow_mut() += 1;
            let mut tx = self.store.begin();
            let mut written = Vec::new();
            let mut ok = true;
            for _ in 0..rng.u32(1..3) {
                let mut rows = Vec::new();
                let mut records = Vec::new();
                for _ in 0..rng.u32(1..4) {
                    let aggregate = rng.u64(..self.plan.aggregates);
                    let new = self.record(&mut rng, aggregate);
                    rows.push(Written {
                        message_id: new.message_id,
                        aggregate,
                        ordered: new.ordered && new.deliver_at.is_none(),
                        partition: new.key.as_ref().map(|key| super::broker::partition(key)),
                    });
                    records.push(new);
                }
                if tx.insert(&TableName::default(), records).await.is_err() {
                    ok = false; // a deadlock with another writer
                    break;
                }
                self.tell(Deed::Inserted(rows.clone()));
                written.extend(rows);
                Pause(rng.u32(..3)).await;
            }
            if rng.f64() < self.plan.slow {
                Pause(rng.u32(20..100)).await;
            }
            if ok && rng.f64() < 0.9 {
                tx.commit();
                self.tell(Deed::Committed(written));
            } else {
                tx.rollback();
                self.tell(Deed::RolledBack(written));
            }
            Pause(rng.u32(1..8)).await;
        }
        std::future::pending::<()>().await;
    }
}
