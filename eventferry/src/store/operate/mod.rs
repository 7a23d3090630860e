//! What an operator asks of a store: to see what is dead, held or waiting, and to decide about it.

mod moves;
mod row;

use std::future::Future;

use crate::event::{MessageId, Operator};
use crate::outbox::{Move, Status};
use crate::store::StoreError;

pub use moves::{Moved, MovedMany};
pub(crate) use moves::{moved, steps};
pub use row::{RowFilter, ShowPayload, StoredRow, Trace};

/// Rows of one chunk of [`Operate::apply_to_all`]: few enough to be in nobody's way.
const CHUNK: u32 = 500;

/// The operator's side of an outbox: what died, what is held, what waits, and the moves that decide about it.
///
/// A move never touches a row that a relay may be sending: such a row is *asked for*, and the relay that holds its lane settles it in its
/// place. So the order of events holds whatever an operator does, and relays need not be stopped. Each move is one autocommit statement that
/// checks the state it starts from, and leaves a trace of who and when in the row's headers; the traces never travel. A relay notices
/// within a third of a lease at the latest.
///
/// Unlike [`Store`](crate::Store) it needs no lease and no relay: any process with the database can use it.
///
/// # Examples
/// An event died and holds its aggregate. Its cause was mended, so it is brought back to its place:
/// ```
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use eventferry::event::Operator;
/// use eventferry::outbox::{Move, NewRecord, OnDead, Status};
/// use eventferry::store::memory::MemoryStore;
/// use eventferry::store::{Moved, Operate, RowFilter, ShowPayload};
/// # use eventferry::store::{Fault, RelayId, Store, Verdict};
/// # use eventferry::{OpenTransaction, TableName};
///
/// # let store = MemoryStore::new();
/// # let mut tx = store.begin();
/// # tx.insert(&TableName::default(), vec![NewRecord::new("orders", "order", "42", "OrderPaid", Some(b"{}".to_vec()))]).await?;
/// # tx.commit();
/// # let relay = RelayId::random();
/// # let row = store.rows().remove(0);
/// # let lease = store.take(relay, 64).await?.into_iter().map(|taken| taken.lease).find(|lease| lease.lane == row.lane()).ok_or("no lane")?;
/// # store.fail(relay, &[Verdict::new(row.row(), 0, lease, Fault::Rejected, OnDead::Hold, "too large")]).await?;
/// let alice = Operator::new("alice")?;
/// let dead = store.list(&RowFilter::dead().topic("orders"), 0, 100).await?;
/// assert_eq!(dead[0].last_error.as_deref(), Some("too large"));
///
/// let id = dead[0].record.message_id;
/// assert_eq!(store.requeue(id, &alice).await?, Moved::To(Status::Failed));
/// assert_eq!(store.requeue(id, &alice).await?, Moved::NotAllowed(Status::Failed), "it is on its way already");
///
/// let row = store.show(id, ShowPayload::Leave).await?.ok_or("gone")?;
/// assert_eq!(row.trace(Move::Requeue).map(|trace| trace.by), Some("alice"));
/// # Ok(()) }
/// # tokio::runtime::Runtime::new()?.block_on(run())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Operate: Send + Sync {
    /// Rows that the filter lets through, by id, beyond `after` (0 is the start); never their payloads.
    ///
    /// The next page goes on after the last id of this one; a page with fewer than `limit` rows is the last.
    ///
    /// # Errors
    /// [`StoreErrorKind::Invalid`](crate::store::StoreErrorKind::Invalid) if the filter asks for a status no operator decides about; otherwise as
    /// for any read.
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    #[doc = include_str!("examples/list.md")]
    fn list(&self, filter: &RowFilter, after: i64, limit: u32) -> impl Future<Output = Result<Vec<StoredRow>, StoreError>> + Send;

    /// One row, whatever its status; none if there is no row of this message id.
    ///
    /// # Errors
    /// As for any read.
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    #[doc = include_str!("examples/show.md")]
    fn show(&self, id: MessageId, payload: ShowPayload) -> impl Future<Output = Result<Option<StoredRow>, StoreError>> + Send;

    /// Moves rows by their message ids, in one statement; one answer for each, in the order given. Each id stands there once.
    ///
    /// A row moves only from a status in `from`, and only where [`after_move`](crate::outbox::after_move) says; nothing is waited for: a row that
    /// somebody else is writing at this moment answers [`Moved::Busy`].
    ///
    /// # Errors
    /// [`StoreErrorKind::Unavailable`](crate::store::StoreErrorKind::Unavailable), with nothing known to have happened: ask again, a move that was
    /// made is not made twice.
    ///
    /// # Cancel safety
    /// Dropped, all of it has happened or nothing.
    #[doc = include_str!("examples/apply_to.md")]
    fn apply_to(
        &self,
        what: Move,
        ids: &[MessageId],
        from: &[Status],
        by: &Operator,
    ) -> impl Future<Output = Result<Vec<Moved>, StoreError>> + Send;

    /// Moves one row, from wherever it stands.
    ///
    /// # Errors
    /// As for [`apply_to`](Self::apply_to).
    ///
    /// # Cancel safety
    /// Dropped, it has happened or it has not.
    #[doc = include_str!("examples/apply.md")]
    fn apply(&self, what: Move, id: MessageId, by: &Operator) -> impl Future<Output = Result<Moved, StoreError>> + Send {
        async move {
            let moved = self.apply_to(what, &[id], &DECIDED, by).await?;
            Ok(moved.first().copied().unwrap_or(Moved::NotThere))
        }
    }

    /// Delivers a dead event after all: fresh attempts, due now, the same message id.
    ///
    /// One that held its aggregate goes back to its place before its successors. One whose successors have gone on has no place any more and
    /// travels with `event-order: none`.
    ///
    /// # Errors
    /// As for [`apply_to`](Self::apply_to).
    ///
    /// # Cancel safety
    /// Dropped, it has happened or it has not.
    #[doc = include_str!("examples/requeue.md")]
    fn requeue(&self, id: MessageId, by: &Operator) -> impl Future<Output = Result<Moved, StoreError>> + Send {
        self.apply(Move::Requeue, id, by)
    }

    /// Leaves an event dead that holds its aggregate, and lets its successors go on.
    ///
    /// # Errors
    /// As for [`apply_to`](Self::apply_to).
    ///
    /// # Cancel safety
    /// Dropped, it has happened or it has not.
    #[doc = include_str!("examples/release_held.md")]
    fn release_held(&self, id: MessageId, by: &Operator) -> impl Future<Output = Result<Moved, StoreError>> + Send {
        self.apply(Move::Release, id, by)
    }

    /// Decides that an event is never delivered; its row is purged like a delivered one.
    ///
    /// A dead event is done at once. One that waits is asked for ([`Moved::Asked`]): an attempt that is under way may still deliver it, or
    /// kill it, and then it is dead like any other.
    ///
    /// # Errors
    /// As for [`apply_to`](Self::apply_to).
    ///
    /// # Cancel safety
    /// Dropped, it has happened or it has not.
    #[doc = include_str!("examples/discard.md")]
    fn discard(&self, id: MessageId, by: &Operator) -> impl Future<Output = Result<Moved, StoreError>> + Send {
        self.apply(Move::Discard, id, by)
    }

    /// Moves every row that the filter lets through, in chunks of a few hundred, each one statement; answers how many.
    ///
    /// Rows are visited once, by id: an event that dies again meanwhile is left alone.
    ///
    /// # Errors
    /// As for [`list`](Self::list) and [`apply_to`](Self::apply_to); chunks before the error have happened.
    ///
    /// # Cancel safety
    /// Dropped, the chunks before have happened.
    #[doc = include_str!("examples/apply_to_all.md")]
    fn apply_to_all(&self, what: Move, filter: &RowFilter, by: &Operator) -> impl Future<Output = Result<MovedMany, StoreError>> + Send {
        async move {
            let (mut count, mut after) = (MovedMany::default(), 0);
            loop {
                let page = self.list(filter, after, CHUNK).await?;
                let ids: Vec<MessageId> = page.iter().map(|row| row.record.message_id).collect();
                for moved in self.apply_to(what, &ids, &filter.statuses, by).await? {
                    count.add(moved);
                }
                match page.last() {
                    Some(last) if page.len() >= CHUNK as usize => after = last.record.id,
                    Some(_) | None => return Ok(count),
                }
            }
        }
    }
}

/// The statuses an operator decides about.
const DECIDED: [Status; 4] = [Status::Scheduled, Status::Failed, Status::Dead, Status::DeadHolding];
