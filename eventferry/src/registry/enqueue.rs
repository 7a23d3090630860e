//! Writing events in the caller's transaction.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tracing::Instrument as _;

use crate::codec::Encode;
use crate::event::OutboxEvent;
use crate::outbox::NewRecord;
use crate::registry::{Draft, EnqueueError, EventOf, EventSet, Outbox};
use crate::store::{BoxFuture, OpenTransaction, Receipt, StoreError, StoreErrorKind};

/// An event on its way into a transaction; does nothing until it is awaited.
///
/// # Cancel safety
/// Dropped before it is polled, nothing is written. Dropped later (as by a timeout), the row may be in the transaction: roll back, or
/// enqueue again with the same message id.
#[cfg_attr(all(feature = "derive", feature = "json-schema"), doc = include_str!("examples/enqueue_future.md"))]
#[must_use = "the event is written when this is awaited"]
pub struct Enqueue<'a, T = Receipt>(BoxFuture<'a, Result<T, EnqueueError>>);

impl<T> Future for Enqueue<'_, T> {
    type Output = Result<T, EnqueueError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<T> fmt::Debug for Enqueue<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enqueue").finish_non_exhaustive()
    }
}

impl<S: EventSet> Outbox<S> {
    /// Writes an event in a transaction: it exists if and only if the transaction commits.
    ///
    /// The event is encoded and checked before this returns, so nothing of it is held while the database is waited for. What the schema
    /// forbids is never written. To say more of the delivery, such as a key or a time, use [`event`](Self::event); for several events use
    /// [`enqueue_all`](Self::enqueue_all).
    ///
    /// From here to the end of the transaction, other transactions that write events of the same aggregate wait: enqueue late.
    ///
    /// # Errors
    /// By [`EnqueueError::kind`]. [`Refused`](crate::registry::EnqueueErrorKind::Refused), [`Encode`](crate::registry::EnqueueErrorKind::Encode) and
    /// [`Invalid`](crate::registry::EnqueueErrorKind::Invalid): nothing was written, the transaction is as usable as before.
    /// [`Store`](crate::registry::EnqueueErrorKind::Store): roll back; if [`EnqueueError::is_retryable`], the transaction can be repeated.
    ///
    /// # Cancel safety
    /// Not cancel safe: after the first poll the row may be in the transaction. Roll back, or repeat with the same message id.
    #[cfg_attr(all(feature = "derive", feature = "json-schema"), doc = include_str!("examples/enqueue.md"))]
    pub fn enqueue<'a, E, Tx>(&'a self, tx: &'a mut Tx, event: E) -> Enqueue<'a>
    where
        E: OutboxEvent,
        E::Listed: EventOf<S>,
        E::Format: Encode<E>,
        Tx: OpenTransaction,
    {
        self.event(event).enqueue(tx)
    }

    /// Writes several events, of any types of the set, in one round trip; answers one receipt for each, in the same order.
    ///
    /// If one of them is refused, none is written. Collect events and write them last: the locks of all their aggregates are taken at
    /// once, in one order, so that two such calls cannot deadlock.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue); [`EnqueueError::position`] says which event it was.
    ///
    /// # Cancel safety
    /// Not cancel safe: after the first poll the rows may be in the transaction. Roll back, or repeat with the same message ids.
    #[cfg_attr(all(feature = "derive", feature = "json-schema"), doc = include_str!("examples/enqueue_all.md"))]
    pub fn enqueue_all<'a, 'd, Tx>(&'a self, tx: &'a mut Tx, drafts: impl IntoIterator<Item = Draft<'d, S>>) -> Enqueue<'a, Vec<Receipt>>
    where
        Tx: OpenTransaction,
        S: 'd,
    {
        let records: Result<Vec<_>, _> = drafts
            .into_iter()
            .enumerate()
            .map(|(position, draft)| draft.record.map_err(|e| e.at(position)))
            .collect();
        match records {
            Ok(records) if records.is_empty() => Enqueue(Box::pin(async { Ok(Vec::new()) })),
            Ok(records) => self.insert(tx, records),
            Err(error) => Enqueue(Box::pin(async { Err(error) })),
        }
    }

    pub(super) fn insert_one<'a, Tx: OpenTransaction>(&'a self, tx: &'a mut Tx, record: Result<NewRecord, EnqueueError>) -> Enqueue<'a> {
        match record {
            Err(error) => Enqueue(Box::pin(async { Err(error) })),
            Ok(record) => {
                let all = self.insert(tx, vec![record]);
                Enqueue(Box::pin(async {
                    let receipts = all.await?;
                    receipts.into_iter().next().ok_or_else(|| miscounted(1, 0))
                }))
            }
        }
    }

    fn insert<'a, Tx: OpenTransaction>(&'a self, tx: &'a mut Tx, records: Vec<NewRecord>) -> Enqueue<'a, Vec<Receipt>> {
        let count = records.len();
        let what = match records.as_slice() {
            [one] => format!("failed to enqueue `{}` into `{}`", one.event_type, self.table),
            _ => format!("failed to enqueue {count} events into `{}`", self.table),
        };
        let span = if let [one] = records.as_slice() {
            tracing::debug_span!(
                "eventferry.enqueue",
                messaging.destination.name = one.topic,
                messaging.message.id = %one.message_id,
                eventferry.event = one.event_type
            )
        } else {
            tracing::debug_span!("eventferry.enqueue", messaging.batch.message_count = count)
        };
        let insert = async move {
            let receipts = tx.insert(&self.table, records).await.map_err(|e| EnqueueError::store(what, e))?;
            if receipts.len() == count {
                Ok(receipts)
            } else {
                Err(miscounted(count, receipts.len()))
            }
        };
        Enqueue(Box::pin(insert.instrument(span)))
    }
}

/// A store that breaks its contract must not pass as a success.
fn miscounted(records: usize, receipts: usize) -> EnqueueError {
    let error = StoreError::new(
        StoreErrorKind::Database,
        format!("the store answered {receipts} receipts for {records} events"),
    );
    EnqueueError::store(format!("failed to enqueue {records} events"), error)
}
