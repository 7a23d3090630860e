//! Rows as an operator sees them, and which of them are asked about.

use std::fmt;
use std::time::SystemTime;

use crate::event::headers;
use crate::outbox::{Move, Record, Status};
use crate::store::operate::DECIDED;
use crate::store::operate::moves::trace_name;
use crate::store::{StoreError, StoreErrorKind};

/// Which rows an operator is asked about.
///
/// # Examples
/// Everything that is dead on one topic, brought back at once:
/// ```
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use eventferry::event::Operator;
/// use eventferry::outbox::{Move, Status};
/// use eventferry::store::memory::MemoryStore;
/// use eventferry::store::{Operate, RowFilter};
/// # use eventferry::outbox::{NewRecord, OnDead};
/// # use eventferry::store::{Fault, RelayId, Store, Verdict};
/// # use eventferry::{OpenTransaction, TableName};
///
/// # let store = MemoryStore::new();
/// # let mut tx = store.begin();
/// # let rows = ["orders", "orders", "letters"].map(|topic| NewRecord::new(topic, "order", "42", "OrderPaid", Some(b"{}".to_vec())));
/// # tx.insert(&TableName::default(), rows.into()).await?;
/// # tx.commit();
/// # let relay = RelayId::random();
/// # let taken = store.take(relay, 64).await?;
/// # for row in store.rows() {
/// #     let lease = taken.iter().map(|taken| taken.lease).find(|lease| lease.lane == row.lane()).ok_or("no lane")?;
/// #     store.fail(relay, &[Verdict::new(row.row(), 0, lease, Fault::Rejected, OnDead::Continue, "too large")]).await?;
/// # }
/// let alice = Operator::new("alice")?;
/// let on_orders = RowFilter::dead().topic("orders");
/// let count = store.apply_to_all(Move::Requeue, &on_orders, &alice).await?;
/// assert_eq!((count.moved, count.busy), (2, 0));
///
/// assert!(store.list(&on_orders, 0, 100).await?.is_empty());
/// let letters = store.list(&RowFilter::dead(), 0, 100).await?; // those of every topic
/// assert_eq!((letters.len(), letters[0].record.status), (1, Status::Dead));
/// # Ok(()) }
/// # tokio::runtime::Runtime::new()?.block_on(run())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    #[doc = include_str!("examples/waiting.md")]
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
    #[doc = include_str!("examples/status.md")]
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
    #[doc = include_str!("examples/aggregate.md")]
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
#[doc = include_str!("examples/stored_row.md")]
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
