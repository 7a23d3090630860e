//! The database seam: what an enqueue, a relay and a consumer ask of a store. No SQL here.
//!
//! Read `memory/` first: it is the contract in the plainest code. The suite in `testing::conformance` holds every store to it.

mod check;
mod error;
#[cfg(feature = "_sql")]
mod headers;
pub mod memory;
mod operate;
#[cfg(feature = "postgres")]
pub mod postgres;
mod relaying;
pub(crate) mod schemas;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(feature = "_sql")]
mod statements;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::event::{MessageId, TableName};
use crate::outbox::{LaneLease, NewRecord, Record, RowId, Status};

pub(crate) use check::{check_consumer, check_place, check_records};
pub use error::{StoreError, StoreErrorKind};
pub use operate::{Moved, MovedMany, Operate, RowFilter, ShowPayload, StoredRow, Trace};
pub(crate) use operate::{moved, steps};
pub use relaying::{
    AggregateRead, Doing, DueCursor, DueRow, Fault, LaneRead, Opened, ReadBatch, RelayId, Renewed, Retention, Skimmed, Snapshot, Taken,
    Verdict, VerdictOutcome,
};
pub use schemas::{SchemaTable, StoredSchemas};

/// The most late rows one [`Store::read`] returns, over all lanes together.
pub const LATE_LIMIT: u32 = 1000;

/// Payloads of more bytes than this are not read with their row: the row says [`Payload::Deferred`](crate::outbox::Payload::Deferred).
pub const DEFER_ABOVE: usize = 64 * 1024;

/// How long a lease lasts in an outbox that was never told otherwise.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(15);

/// A boxed future, for the few calls that are made through a trait object or named in a signature.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What an enqueue answers.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), eventferry::StoreError> {
/// use eventferry::store::memory::MemoryStore;
/// use eventferry::{OpenTransaction, Receipt, TableName};
/// # use eventferry::outbox::NewRecord;
/// # let record = NewRecord::new("orders", "order", "42", "OrderPaid", Some(b"{}".to_vec()));
///
/// let mut tx = MemoryStore::new().begin();
/// let receipts = tx.insert(&TableName::default(), vec![record.clone(), record]).await?;
/// match (receipts[0], receipts[1]) {
///     (Receipt::Enqueued { message_id, .. }, Receipt::Duplicate { message_id: again, dead }) => {
///         assert_eq!((message_id, dead), (again, false));
///     }
///     other => panic!("{other:?}"),
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Receipt {
    /// The event is in the table, if the transaction commits.
    Enqueued {
        /// The event's identity.
        message_id: MessageId,
        /// The row's id.
        position: i64,
    },
    /// A row of this message id was there already; nothing was inserted and the transaction is as usable as before.
    Duplicate {
        /// The id that was given twice.
        message_id: MessageId,
        /// Whether the row that is there is dead.
        dead: bool,
    },
}

impl Receipt {
    /// The event's identity.
    pub fn message_id(&self) -> MessageId {
        match self {
            Self::Enqueued { message_id, .. } | Self::Duplicate { message_id, .. } => *message_id,
        }
    }

    /// Whether nothing was inserted because the message id was there already.
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Duplicate { .. })
    }
}

/// A database transaction that somebody else began and will commit.
///
/// Events are written in the transaction of the change they report, so a pool or a bare connection does not implement this.
///
/// # Examples
/// A function of a service takes any of them, and leaves the commit to its caller:
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), eventferry::StoreError> {
/// use eventferry::outbox::NewRecord;
/// use eventferry::store::memory::MemoryStore;
/// use eventferry::{OpenTransaction, Receipt, StoreError, TableName};
///
/// async fn record_payment(tx: &mut impl OpenTransaction, order: &str) -> Result<Vec<Receipt>, StoreError> {
///     // With a set of events: events.enqueue(tx, OrderPaid { .. }).await
///     let paid = NewRecord::new("orders", "order", order, "OrderPaid", Some(b"{}".to_vec()));
///     tx.insert(&TableName::default(), vec![paid]).await
/// }
///
/// let store = MemoryStore::new();
/// let mut tx = store.begin();
/// record_payment(&mut tx, "42").await?;
/// tx.commit();
/// assert_eq!(store.rows().len(), 1);
/// # Ok(()) }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an open transaction",
    label = "begin one and pass it: `let mut tx = pool.begin().await?;` then `&mut tx`",
    note = "events are written in the transaction of the change they report, so that both commit or neither does",
    note = "`sqlx::Transaction` of sqlx 0.9 is accepted when eventferry's feature `postgres` or `sqlite` is on"
)]
pub trait OpenTransaction: Send {
    /// Writes the records in the order given, in one round trip, and answers one receipt for each, in the same order.
    ///
    /// Before any id is drawn, the locks of all aggregates of ordered records are held, and they stay held until the transaction ends: that
    /// makes ids follow commit order within an aggregate. A message id that is in the table already, or that comes twice in `records`,
    /// inserts nothing and does not fail.
    ///
    /// # Errors
    /// [`StoreErrorKind::Invalid`] if a record holds what no table can (a NUL in a text), with nothing written and the transaction as usable
    /// as before;
    /// [`StoreErrorKind::Contention`] on deadlock, serialization failure or lock timeout: roll back and repeat the transaction;
    /// [`StoreErrorKind::Misconfigured`] if the table is not there; [`StoreErrorKind::Unavailable`] if the connection is lost.
    ///
    /// # Cancel safety
    /// Not cancel safe: after the first poll the rows may be in the transaction. Roll back, or repeat with the same message ids.
    fn insert<'a>(&'a mut self, table: &'a TableName, records: Vec<NewRecord>) -> BoxFuture<'a, Result<Vec<Receipt>, StoreError>>;
}

/// A consumer's memory of what it has handled, kept in its own transaction.
///
/// # Examples
/// [`Inbox`](crate::consume::Inbox) is the way to use it; this is what it asks:
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), eventferry::StoreError> {
/// use eventferry::store::InboxTransaction;
/// use eventferry::store::memory::MemoryStore;
/// use eventferry::{MessageId, TableName};
///
/// let (store, table, id) = (MemoryStore::new(), TableName::default(), MessageId::random());
/// let mut tx = store.begin();
/// assert!(tx.remember(&table, "billing", id).await?);
/// assert!(!tx.remember(&table, "billing", id).await?);
/// tx.commit();
/// # Ok(()) }
/// ```
pub trait InboxTransaction: OpenTransaction {
    /// Remembers that `consumer` handles `message_id` in this transaction; false if it is remembered already.
    ///
    /// A concurrent transaction that handles the same message waits for this one and then sees its outcome.
    ///
    /// # Errors
    /// [`StoreErrorKind::Invalid`] if the consumer's name holds a NUL, with the transaction as usable as before; otherwise as for
    /// [`insert`](OpenTransaction::insert).
    ///
    /// # Cancel safety
    /// Not cancel safe: after the first poll the message may be remembered in the transaction. Roll back.
    fn remember<'a>(
        &'a mut self,
        table: &'a TableName,
        consumer: &'a str,
        message_id: MessageId,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Moves a consumer's watermark forward in this transaction; false if it stands at that position already, or beyond.
    ///
    /// There is one watermark for each consumer, source, topic, partition and aggregate; the first event of each is beyond all. A concurrent
    /// transaction that moves the same one waits for this one and then sees its outcome.
    ///
    /// # Errors
    /// As for [`remember`](Self::remember); under REPEATABLE READ and above, a move of a watermark that another transaction has moved
    /// meanwhile is [`StoreErrorKind::Contention`].
    ///
    /// # Cancel safety
    /// Not cancel safe: after the first poll the watermark may have moved in the transaction. Roll back.
    fn advance<'a>(&'a mut self, table: &'a TableName, place: Place<'a>) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Forgets up to `limit` messages and watermarks that `consumer` last handled longer than `older_than` ago; answers how many.
    ///
    /// # Errors
    /// As for [`remember`](Self::remember).
    ///
    /// # Cancel safety
    /// Not cancel safe: after the first poll some may be forgotten in the transaction. Roll back.
    fn forget<'a>(
        &'a mut self,
        table: &'a TableName,
        consumer: &'a str,
        older_than: Duration,
        limit: u32,
    ) -> BoxFuture<'a, Result<u64, StoreError>>;
}

/// Where an event stands in what a consumer reads.
///
/// The topic and the partition are part of it because events of one aggregate are in order within one log only: a consumer that reads two
/// logs may meet the later event first, and that must not hide the earlier one. `Debug` shows no aggregate id.
///
/// # Examples
/// ```
/// use eventferry::store::Place;
///
/// let place = Place::new("billing", "shop/1", "orders", "order", "42", 1042).in_partition(Some(3));
/// assert_eq!((place.position, place.partition), (1042, Some(3)));
/// assert!(!format!("{place:?}").contains("42\""), "no aggregate id in a log");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place<'a> {
    /// Who handles it.
    pub consumer: &'a str,
    /// Which outbox on which server the position belongs to.
    pub source: &'a str,
    /// The topic it was read from.
    pub topic: &'a str,
    /// The partition it was read from, where the consumer can tell.
    pub partition: Option<i32>,
    /// The kind of aggregate.
    pub aggregate_type: &'a str,
    /// Which aggregate.
    pub aggregate_id: &'a str,
    /// The row's id in its outbox.
    pub position: i64,
}

impl<'a> Place<'a> {
    /// A place in a log without partitions.
    pub const fn new(
        consumer: &'a str,
        source: &'a str,
        topic: &'a str,
        aggregate_type: &'a str,
        aggregate_id: &'a str,
        position: i64,
    ) -> Self {
        Self {
            consumer,
            source,
            topic,
            partition: None,
            aggregate_type,
            aggregate_id,
            position,
        }
    }

    /// The same in a partition.
    #[must_use = "the place is returned, not changed in place"]
    pub const fn in_partition(mut self, partition: Option<i32>) -> Self {
        self.partition = partition;
        self
    }
}

impl std::fmt::Debug for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place")
            .field("consumer", &self.consumer)
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// What a relay asks of a database.
///
/// Every method is one autocommit statement (or a read), so that a relay stopped between two of them holds no lock. Every method may be
/// called again after an error. All times are the database's.
///
/// # Errors
/// [`StoreErrorKind::Unavailable`] if the database is away or gives no answer in time, and it is then not known whether the statement was
/// carried out; [`StoreErrorKind::Contention`] if something else was in its way, and nothing was. What a method adds to that stands beside it.
///
/// # Cancel safety
/// A future that is dropped leaves its statement either done or not done, never half done. Every method may then be called again: at worst a
/// lane is leased that nobody knows of until its lease is over.
pub trait Store: Send + Sync + 'static {
    /// Checks the outbox and registers this relay.
    ///
    /// # Errors
    /// [`StoreErrorKind::Misconfigured`] with the command that mends it, if the table is missing or of another version, or set up so that a
    /// promise cannot hold.
    fn open(&self, relay: RelayId) -> impl Future<Output = Result<Opened, StoreError>> + Send;

    /// Renews the leases given and says how many relays share the lanes. Registers this relay as alive, and what it is doing.
    ///
    /// A relay is alive if it was heard of less than one lease length ago, and not in the future. Others that are [`Doing::Barred`] are
    /// alive too, and not counted: whoever shares aims at what they cannot take. A lease that is over is renewed too as long as nobody has
    /// taken the lane.
    fn renew(&self, relay: RelayId, held: &[LaneLease], doing: Doing) -> impl Future<Output = Result<Renewed, StoreError>> + Send;

    /// Takes up to `limit` lanes that nobody holds or whose lease is over; the epoch of each rises by one, and so does the count of deaths
    /// of those that somebody else held until its lease was over and who was not heard of since.
    ///
    /// A lease is over when its end is not within one lease length from now: in the past, or so far ahead that the clock was stepped back.
    fn take(&self, relay: RelayId, limit: u8) -> impl Future<Output = Result<Vec<Taken>, StoreError>> + Send;

    /// Takes up to `limit` whole groups among those named, each of `size` adjacent lanes: all lanes of a group or none of it.
    ///
    /// For a broker that fences by group, where two relays must never share one. Group `n` is the lanes from `n * size` on.
    fn take_groups(
        &self,
        relay: RelayId,
        groups: &[u8],
        size: u8,
        limit: u8,
    ) -> impl Future<Output = Result<Vec<Taken>, StoreError>> + Send;

    /// Sets the count of deaths of these lanes back to 0; leases that are no longer ours are left alone.
    fn forgive(&self, relay: RelayId, lanes: &[LaneLease]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Hands lanes back, so that another relay may take them at once; leases that are no longer ours are left alone. Their counts of deaths
    /// stay: the event that ended their owners may not have been sent since.
    fn release(&self, relay: RelayId, lanes: &[LaneLease]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Forgets this relay: it no longer counts as alive.
    fn close(&self, relay: RelayId) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Reads all lanes named, in one snapshot. `last` is the snapshot of the read before; without one every cursor must be 0.
    ///
    /// Returns late rows (see [`ReadBatch`]) of every lane named, at most [`LATE_LIMIT`] in all, and fresh ones up to each lane's limit.
    /// Payloads above [`DEFER_ABOVE`] bytes are deferred.
    ///
    /// # Errors
    /// [`StoreErrorKind::Invalid`] if a cursor is not 0 and there is no `last`: late rows would be lost.
    fn read(&self, last: Option<&Snapshot>, lanes: &[LaneRead]) -> impl Future<Output = Result<ReadBatch, StoreError>> + Send;

    /// Looks through lanes beyond their cursors without reading the rows: of each aggregate met, where its rows of status pending, failed or
    /// dead-holding lie. A lane's limit counts the rows that are passed, lowest ids first; the aggregates come in any order.
    ///
    /// All lanes are seen in one snapshot, which is not before that of the last [`read`](Self::read) on the same connection.
    fn skim(&self, lanes: &[LaneRead]) -> impl Future<Output = Result<Vec<Skimmed>, StoreError>> + Send;

    /// Reads rows of status pending, failed or dead-holding of several aggregates in one statement: up to `limit` rows of each, by id.
    ///
    /// The aggregates come in the order of `wanted`, the rows of each together; fewer than `limit` of them means that the snapshot held no more.
    fn read_aggregates(&self, wanted: &[AggregateRead], limit: u32) -> impl Future<Output = Result<Vec<Record>, StoreError>> + Send;

    /// Reads rows of status scheduled or failed whose time has come, by lane, time and id, up to `limit` for each lane.
    ///
    /// An ordered row only says that its aggregate is due, again and again while it cannot go: its payload is always deferred.
    fn read_due(&self, lanes: &[(u8, DueCursor)], limit: u32) -> impl Future<Output = Result<Vec<DueRow>, StoreError>> + Send;

    /// Reads the payload of a row whose payload was deferred; `None` if the row is gone, `Some(None)` if it is a tombstone.
    fn read_payload(&self, row: RowId) -> impl Future<Output = Result<Option<Option<Vec<u8>>>, StoreError>> + Send;

    /// Where each row stands, in the order given; `None` where it is gone.
    fn look_up(&self, rows: &[RowId]) -> impl Future<Output = Result<Vec<Option<Status>>, StoreError>> + Send;

    /// Records that rows were delivered, and answers those that are not recorded, because somebody else has had them locked for a while: they
    /// are to be named again. The others are recorded all the same.
    ///
    /// Needs no lease: what is delivered is delivered, whoever says so. Rows that are gone are skipped.
    fn done(&self, rows: &[RowId], retention: Retention) -> impl Future<Output = Result<Vec<RowId>, StoreError>> + Send;

    /// Records failures, one answer for each verdict, in the order given.
    ///
    /// A verdict changes a row only while its lease is the lane's current one and the row is pending, scheduled or failed. One call names a
    /// row at most once. A verdict may be repeated when its answer was lost: by its [`attempts`](Verdict::attempts) it is known and not
    /// counted again.
    fn fail(&self, relay: RelayId, verdicts: &[Verdict]) -> impl Future<Output = Result<Vec<VerdictOutcome>, StoreError>> + Send;

    /// Deletes up to `limit` rows that were delivered (or discarded) longer than `older_than` ago; answers how many.
    fn purge(&self, older_than: Duration, limit: u32) -> impl Future<Output = Result<u64, StoreError>> + Send;
}
