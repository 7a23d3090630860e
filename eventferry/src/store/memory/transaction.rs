//! An open transaction: locks, waiting, commit and rollback.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::clock::duration_micros;
use crate::event::{MessageId, TableName};
use crate::outbox::NewRecord;
use crate::store::memory::MemoryStore;
use crate::store::memory::state::{Attempt, End, State, Tx};
use crate::store::{BoxFuture, InboxTransaction, OpenTransaction, Place, Receipt, StoreError, check_consumer, check_place, check_records};

/// An open transaction of a [`MemoryStore`].
///
/// What it wrote is visible to others from the commit on. An insert for an aggregate that another open transaction has inserted for waits
/// until that one ends.
///
/// # Examples
/// ```
/// # use eventferry::outbox::NewRecord;
/// # use eventferry::store::memory::MemoryStore;
/// # use eventferry::{OpenTransaction, TableName};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), eventferry::StoreError> {
/// # let (store, table) = (MemoryStore::new(), TableName::default());
/// # let record = || NewRecord::new("orders", "order", "42", "OrderPaid", None);
/// let (mut kept, mut undone) = (store.begin(), store.begin());
/// kept.insert(&table, vec![record()]).await?;
/// kept.commit();
/// undone.insert(&table, vec![record()]).await?;
/// undone.rollback();
/// assert_eq!(store.rows().len(), 1);
/// # Ok(()) }
/// ```
#[must_use = "dropping the transaction rolls it back"]
pub struct MemoryTransaction {
    store: MemoryStore,
    number: Option<Tx>,
}

impl MemoryTransaction {
    pub(super) fn new(store: MemoryStore) -> Self {
        Self { store, number: None }
    }

    /// Makes what was written visible, and frees the locks.
    pub fn commit(mut self) {
        self.end(End::Committed);
    }

    /// Undoes what was written, and frees the locks; so does a drop.
    pub fn rollback(mut self) {
        self.end(End::RolledBack);
    }

    fn end(&mut self, end: End) {
        let Some(tx) = self.number.take() else { return };
        let waiters = self.store.state().end(tx, end);
        for waiter in waiters {
            waiter.wake();
        }
    }

    /// Tries a write until no other transaction is in its way.
    async fn write<T>(&mut self, mut attempt: impl FnMut(&mut State, Tx) -> Attempt<T>) -> Result<T, StoreError> {
        let tx = match self.number {
            Some(tx) => tx,
            None => *self.number.insert(self.store.state().begin()),
        };
        let turn = Turn { store: &self.store, tx };
        poll_fn(|cx| turn.poll(cx, &mut attempt)).await
    }
}

/// A write that may have to wait; dropping it stops the waiting.
struct Turn<'a> {
    store: &'a MemoryStore,
    tx: Tx,
}

impl Turn<'_> {
    fn poll<T>(&self, cx: &Context<'_>, attempt: &mut impl FnMut(&mut State, Tx) -> Attempt<T>) -> Poll<Result<T, StoreError>> {
        let mut state = self.store.state();
        state.stop_waiting(self.tx);
        match attempt(&mut state, self.tx) {
            Attempt::Ready(answer) => Poll::Ready(Ok(answer)),
            Attempt::Behind(holder) => match state.wait(self.tx, holder, cx.waker().clone()) {
                Ok(()) => Poll::Pending,
                Err(deadlock) => Poll::Ready(Err(deadlock)),
            },
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.store.state().stop_waiting(self.tx);
    }
}

impl OpenTransaction for MemoryTransaction {
    fn insert<'a>(&'a mut self, table: &'a TableName, records: Vec<NewRecord>) -> BoxFuture<'a, Result<Vec<Receipt>, StoreError>> {
        Box::pin(async move {
            self.store.check_table(table)?;
            check_records(&records)?;
            let store = self.store.clone();
            self.write(|state, tx| state.insert(tx, &records, store.now())).await
        })
    }
}

impl InboxTransaction for MemoryTransaction {
    fn remember<'a>(
        &'a mut self,
        table: &'a TableName,
        consumer: &'a str,
        message_id: MessageId,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            self.store.check_table(table)?;
            check_consumer(consumer)?;
            let store = self.store.clone();
            self.write(|state, tx| state.remember(tx, consumer, message_id, store.now())).await
        })
    }

    fn advance<'a>(&'a mut self, table: &'a TableName, place: Place<'a>) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            self.store.check_table(table)?;
            check_place(&place)?;
            let store = self.store.clone();
            self.write(|state, tx| state.advance(tx, &place, store.now())).await
        })
    }

    fn forget<'a>(
        &'a mut self,
        table: &'a TableName,
        consumer: &'a str,
        older_than: Duration,
        limit: u32,
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            self.store.check_table(table)?;
            check_consumer(consumer)?;
            let before = self.store.now().saturating_sub(duration_micros(older_than));
            self.write(|state, tx| state.forget(tx, consumer, before, limit)).await
        })
    }
}

impl Drop for MemoryTransaction {
    fn drop(&mut self) {
        self.end(End::RolledBack);
    }
}

impl fmt::Debug for MemoryTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTransaction")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
