//! Producers: transactions that overlap, are now and then slow, and now and then roll back.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::world::{AGGREGATES, Ledger};
use crate::event::{MessageId, TableName};
use crate::outbox::NewRecord;
use crate::store::OpenTransaction;
use crate::store::memory::MemoryStore;

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
    let mut future = Box::pin(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the memory store answers a relay at once"),
    }
}

fn record(rng: &mut fastrand::Rng, aggregate: u64, ordered: bool) -> NewRecord {
    let topic = if rng.f64() < 0.8 { "main" } else { "other" };
    let mut new = NewRecord::new(topic, "thing", &aggregate.to_string(), "E", Some(vec![7; rng.usize(..20)]));
    new.message_id = MessageId::from_bytes(rng.u128(..).to_be_bytes());
    new.ordered = ordered;
    new
}

/// Writes transactions that overlap with those of the others, now and then slow, now and then rolled back.
pub(super) async fn write(store: MemoryStore, ledger: Ledger, mut rng: fastrand::Rng) {
    loop {
        let mut tx = store.begin();
        let mut written = Vec::new();
        let mut ok = true;
        for _ in 0..rng.u32(1..3) {
            let mut batch = Vec::new();
            for _ in 0..rng.u32(1..4) {
                let aggregate = rng.u64(..AGGREGATES);
                let ordered = rng.f64() < 0.9;
                batch.push((aggregate, record(&mut rng, aggregate, ordered)));
            }
            let rows: Vec<_> = batch
                .iter()
                .map(|(aggregate, new)| (new.message_id, *aggregate, new.ordered))
                .collect();
            let records = batch.into_iter().map(|(_, new)| new).collect();
            if tx.insert(&TableName::default(), records).await.is_err() {
                ok = false; // a deadlock with another writer
                break;
            }
            written.extend(rows);
            Pause(rng.u32(..3)).await;
        }
        if rng.f64() < 0.05 {
            Pause(rng.u32(20..200)).await;
        }
        if ok && rng.f64() < 0.9 {
            tx.commit();
            ledger.lock().expect("one thread").extend(written);
        } else {
            tx.rollback();
        }
        Pause(rng.u32(1..8)).await;
    }
}
