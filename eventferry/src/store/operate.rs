//! What an operator asks of a store: to see what is dead, held or waiting, and to decide about it.

use std::fmt;
use std::future::Future;
use std::time::SystemTime;

use crate::event::{MessageId, Operator, headers};
use crate::outbox::{Effect, Move, Record, Status, after_move};
use crate::store::{StoreError, StoreErrorKind};

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
    /// [`StoreErrorKind::Invalid`] if the filter asks for a status no operator decides about; otherwise as for any read.
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    fn list(&self, filter: &RowFilter, after: i64, limit: u32) -> impl Future<Output = Result<Vec<StoredRow>, StoreError>> + Send;

    /// One row, whatever its status; none if there is no row of this message id.
    ///
    /// # Errors
    /// As for any read.
    ///
    /// # Cancel safety
    /// Cancel safe: it only reads.
    fn show(&self, id: MessageId, payload: ShowPayload) -> impl Future<Output = Result<Option<StoredRow>, StoreError>> + Send;

    /// Moves rows by their message ids, in one statement; one answer for each, in the order given. Each id stands there once.
    ///
    /// A row moves only from a status in `from`, and only where [`after_move`] says; nothing is waited for: a row that somebody else is
    /// writing at this moment answers [`Moved::Busy`].
    ///
    /// # Errors
    /// [`StoreErrorKind::Unavailable`], with nothing known to have happened: ask again, a move that was made is not made twice.
    ///
    /// # Cancel safety
    /// Dropped, all of it has happened or nothing.
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

/// Which rows an operator is asked about.
#[derive(Clone, PartialEq, Eq)]
pub struct RowFilter {
    pub(crate) statuses: Vec<Status>,
    pub(crate) topic: Option<String>,
    pub(crate) aggregate: Option<(String, String)>,
}

impl RowFilter {
    /// Every dead row, those that hold their aggregate included.
    pub fn dead() -> Self {
        Self::of([Status::Dead, Status::DeadHolding])
    }

    /// Every row that waits for its time: failed, scheduled, or requeued.
    pub fn waiting() -> Self {
        Self::of([Status::Scheduled, Status::Failed])
    }

    fn of(statuses: impl Into<Vec<Status>>) -> Self {
        Self {
            statuses: statuses.into(),
            topic: None,
            aggregate: None,
        }
    }

    /// Only rows of one status: scheduled, failed, dead, or dead and holding.
    #[must_use = "the filter is returned, not changed in place"]
    pub fn status(mut self, status: Status) -> Self {
        self.statuses = vec![status];
        self
    }

    /// Only events for this topic.
    #[must_use = "the filter is returned, not changed in place"]
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// Only events of this aggregate.
    #[must_use = "the filter is returned, not changed in place"]
    pub fn aggregate(mut self, aggregate_type: impl Into<String>, aggregate_id: impl Into<String>) -> Self {
        self.aggregate = Some((aggregate_type.into(), aggregate_id.into()));
        self
    }

    /// Refuses statuses that no operator decides about, and texts that no row can hold.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if let Some(status) = self.statuses.iter().find(|status| !DECIDED.contains(status)) {
            return Err(StoreError::new(
                StoreErrorKind::Invalid,
                format!("cannot list rows of status `{status:?}`: an operator decides about scheduled, failed and dead ones"),
            ));
        }
        let aggregate = self.aggregate.iter().flat_map(|(kind, id)| [kind, id]);
        if self.topic.iter().chain(aggregate).any(|text| text.contains('\0')) {
            return Err(StoreError::new(
                StoreErrorKind::Invalid,
                "cannot list rows: the filter holds a NUL character, which no row can",
            ));
        }
        Ok(())
    }
}

impl fmt::Debug for RowFilter {
    /// Without the aggregate's id, which is a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowFilter")
            .field("statuses", &self.statuses)
            .field("topic", &self.topic)
            .field("aggregate_type", &self.aggregate.as_ref().map(|(kind, _)| kind))
            .finish_non_exhaustive()
    }
}

/// Whether a row is shown with its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it is shown or it is not")]
pub enum ShowPayload {
    /// The payload is read.
    Read,
    /// Only its size is.
    Leave,
}

/// A row as an operator sees it. `Debug` shows no payload, key or header value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredRow {
    /// The event. A payload that was not asked for is [`Payload::Deferred`](crate::outbox::Payload::Deferred).
    pub record: Record,
    /// When it may be tried, where it waits for a time.
    pub available_at: Option<SystemTime>,
    /// When it was delivered or discarded.
    pub processed_at: Option<SystemTime>,
    /// What was last said to be wrong with it.
    pub last_error: Option<String>,
}

impl StoredRow {
    /// A row without times or error; stores set the rest by field.
    pub fn new(record: Record) -> Self {
        Self {
            record,
            available_at: None,
            processed_at: None,
            last_error: None,
        }
    }

    /// Who made this move on the row last, and when.
    ///
    /// A row that is done and has a trace of [`Move::Discard`] was discarded; without one it was delivered.
    pub fn trace(&self, what: Move) -> Option<Trace<'_>> {
        self.trace_of(trace_name(what))
    }

    /// Who asked that this row is discarded, and when. Until it is settled it may still be delivered.
    pub fn discard_asked(&self) -> Option<Trace<'_>> {
        self.trace_of(headers::OPERATOR_DISCARD_ASKED)
    }

    fn trace_of(&self, name: &str) -> Option<Trace<'_>> {
        let (at, by) = self.record.headers.get(name)?.split_once(' ')?;
        Some(Trace { at, by })
    }
}

/// Who moved a row, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trace<'a> {
    /// The time by the database's clock, RFC 3339 in UTC.
    pub at: &'a str,
    /// The operator's name.
    pub by: &'a str,
}

/// What a move did to one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Moved {
    /// The row stands there now.
    To(Status),
    /// The row is asked for: the relay that holds its lane settles it when nothing of its aggregate is in flight.
    Asked,
    /// There is no row of this message id: it was delivered and deleted, purged, or never there.
    NotThere,
    /// The row stands where this move does not begin; nothing changed.
    NotAllowed(Status),
    /// Somebody else is writing the row at this moment: its owner records what became of it, or another operator moves it. Look again.
    Busy,
}

/// What a move did to many rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MovedMany {
    /// Rows that stand elsewhere now.
    pub moved: u64,
    /// Rows that are asked for.
    pub asked: u64,
    /// Rows that somebody else was writing; ask again for these.
    pub busy: u64,
    /// Rows that the move does not apply to, or does not any more.
    pub unchanged: u64,
}

impl MovedMany {
    fn add(&mut self, moved: Moved) {
        *match moved {
            Moved::To(_) => &mut self.moved,
            Moved::Asked => &mut self.asked,
            Moved::Busy => &mut self.busy,
            Moved::NotThere | Moved::NotAllowed(_) => &mut self.unchanged,
        } += 1;
    }
}

/// The header that a move leaves on a row.
pub(crate) const fn trace_name(what: Move) -> &'static str {
    match what {
        Move::Requeue => headers::OPERATOR_REQUEUED,
        Move::Release => headers::OPERATOR_RELEASED,
        Move::Discard => headers::OPERATOR_DISCARDED,
    }
}

/// One line of a move's table, for a statement to go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) from: Status,
    pub(crate) to: Status,
    pub(crate) trace: &'static str,
}

/// From where a move leads where, of the statuses given: the statements know no table of their own.
pub(crate) fn steps(what: Move, from: &[Status]) -> Vec<Step> {
    let step = |from: &Status| match after_move(*from, what) {
        Effect::To(to) => Some(Step {
            from: *from,
            to,
            trace: trace_name(what),
        }),
        Effect::Mark => Some(Step {
            from: *from,
            to: *from,
            trace: headers::OPERATOR_DISCARD_ASKED,
        }),
        Effect::Refused => None,
    };
    from.iter().filter_map(step).collect()
}

/// What a move did to a row: `now` is where the statement says it stands if it moved it, `found` where it was seen if it did not.
pub(crate) fn moved(what: Move, from: &[Status], now: Option<Status>, found: Option<Status>) -> Moved {
    match (now, found) {
        // A mark leaves the row where it waits; no move of another kind ends in one of the states where a discard marks.
        (Some(status), _) if what == Move::Discard && after_move(status, what) == Effect::Mark => Moved::Asked,
        (Some(status), _) => Moved::To(status),
        (None, None) => Moved::NotThere,
        (None, Some(status)) if from.contains(&status) && after_move(status, what) != Effect::Refused => Moved::Busy,
        (None, Some(status)) => Moved::NotAllowed(status),
    }
}
