//! The database seam: what an enqueue, a relay and a consumer ask of a store. No SQL here.
//!
//! Read `memory/` first: it is the contract in the plainest code. The suite in `testing::conformance` holds every store to it.

mod check;
#[cfg(feature = "_sql")]
mod headers;
pub mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(feature = "_sql")]
mod statements;

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use uuid::Uuid;

use crate::event::{MessageId, TableName};
use crate::outbox::{LaneLease, NewRecord, OnDead, Record, RowId, Status};

pub(crate) use check::{check_consumer, check_records};

/// The most late rows one [`Store::read`] returns, over all lanes together.
pub const LATE_LIMIT: u32 = 1000;

/// Payloads of more bytes than this are not read with their row: the row says [`Payload::Deferred`](crate::outbox::Payload::Deferred).
pub const DEFER_ABOVE: usize = 64 * 1024;

/// How long a lease lasts in an outbox that was never told otherwise.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(15);

/// A boxed future, for the few calls that are made through a trait object or named in a signature.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What kind of failure a [`StoreError`] is; decisions match on this, never on text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The database cannot be reached, or went away; nothing is known to have happened. Try again later.
    Unavailable,
    /// Deadlock, serialization failure or lock timeout: roll back, and repeat the whole transaction.
    Contention,
    /// The outbox is missing, has another version, or is set up in a way that would break a promise; the text says what to run.
    Misconfigured,
    /// The caller handed over something that the store cannot hold; the text says what.
    Invalid,
    /// Anything else the database said.
    Database,
}

/// A failure of the database, or of what it was asked to do.
///
/// The text says what was attempted and on what; it never holds a payload, a bind value or a credential. The cause is in `source()`.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    text: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl StoreError {
    /// A failure without a deeper cause. The text is lower case and says what was attempted, on what.
    pub fn new(kind: StoreErrorKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            source: None,
        }
    }

    /// The same failure with its cause.
    #[must_use = "the error is returned, not changed in place"]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Whether repeating the whole transaction can help.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, StoreErrorKind::Contention | StoreErrorKind::Unavailable)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn StdError + 'static))
    }
}

// ---------------------------------------------------------------------------------------------------------------- producing

/// What an enqueue answers.
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
}

// ---------------------------------------------------------------------------------------------------------------- relaying

/// What identifies one start of one relay process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RelayId(Uuid);

impl RelayId {
    /// A new identity; each start of a relay takes one.
    pub fn random() -> Self {
        Self(Uuid::now_v7())
    }

    /// The identity as a UUID.
    pub fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl fmt::Display for RelayId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a store answers to a relay that starts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opened {
    /// How long a lease lasts: one value per outbox.
    pub lease: Duration,
    /// Settings under which a promise rests on luck (such as `fsync = off`), one sentence each.
    pub warnings: Vec<String>,
}

impl Opened {
    /// An answer without warnings.
    pub fn new(lease: Duration) -> Self {
        Self {
            lease,
            warnings: Vec::new(),
        }
    }
}

/// What a heartbeat answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Renewed {
    /// The leases that are still this relay's, now for a whole lease length from the statement's own time.
    pub kept: Vec<LaneLease>,
    /// How many relays were alive at that moment, this one included.
    pub live_relays: u32,
}

impl Renewed {
    /// A heartbeat's answer.
    pub fn new(kept: Vec<LaneLease>, live_relays: u32) -> Self {
        Self { kept, live_relays }
    }
}

/// What a relay remembers of its last read: which rows were visible then.
///
/// Belongs to one connection and one server; the relay forgets it, and every cursor with it, when either changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// The outbox and its server: the table's own uuid, and what tells a server from its restored or promoted twin.
    pub source: String,
    /// Which connection of this store the read was made on.
    pub connection: u64,
    /// Transactions from this one on had not begun.
    pub xmax: u64,
    /// Earlier transactions that had not ended.
    pub in_progress: Vec<u64>,
}

impl Snapshot {
    /// A snapshot in which every earlier transaction has ended.
    pub fn new(source: impl Into<String>, connection: u64, xmax: u64) -> Self {
        Self {
            source: source.into(),
            connection,
            xmax,
            in_progress: Vec::new(),
        }
    }
}

/// How far a lane was read, and how much more is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaneRead {
    /// The lane.
    pub lane: u8,
    /// Every unsettled row up to this id that was visible in the last snapshot has been handed on.
    pub cursor: i64,
    /// At most this many rows beyond the cursor; 0 still reads late rows below it.
    pub limit: u32,
}

impl LaneRead {
    /// Names a lane to read.
    pub const fn new(lane: u8, cursor: i64, limit: u32) -> Self {
        Self { lane, cursor, limit }
    }
}

/// One aggregate's rows to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AggregateRead {
    /// The aggregate's order key.
    pub order_key: i64,
    /// Its ordered rows, or its unordered ones.
    pub ordered: bool,
    /// Only rows beyond this id.
    pub after: i64,
}

impl AggregateRead {
    /// Names rows to read.
    pub const fn new(order_key: i64, ordered: bool, after: i64) -> Self {
        Self { order_key, ordered, after }
    }
}

/// What one read found, in one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadBatch {
    /// What was visible; give it back with the next read.
    pub snapshot: Snapshot,
    /// Pending rows at or below their lane's cursor that the last snapshot could not see, by id.
    pub late: Vec<Record>,
    /// Whether there may be more late rows than were returned: then those returned are the ones with the lowest ids.
    pub late_is_full: bool,
    /// Rows of status pending, failed or dead-holding beyond their lane's cursor, by lane and id.
    pub fresh: Vec<Record>,
}

impl ReadBatch {
    /// An empty batch.
    pub fn new(snapshot: Snapshot) -> Self {
        Self {
            snapshot,
            late: Vec::new(),
            late_is_full: false,
            fresh: Vec::new(),
        }
    }
}

/// Where a page of due rows begins: after this time and id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct DueCursor {
    /// Microseconds since 1970 by the database's clock.
    pub at_micros: i64,
    /// The row's id.
    pub id: i64,
}

impl DueCursor {
    /// Before every row.
    pub const START: Self = Self {
        at_micros: i64::MIN,
        id: i64::MIN,
    };

    /// A place in the order of due rows.
    pub const fn new(at_micros: i64, id: i64) -> Self {
        Self { at_micros, id }
    }
}

/// A row whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DueRow {
    /// The row.
    pub record: Record,
    /// Its place in the order of due rows of its lane.
    pub at: DueCursor,
}

impl DueRow {
    /// A row that is due.
    pub fn new(record: Record, at: DueCursor) -> Self {
        Self { record, at }
    }
}

/// What a relay says of a row that it could not deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// The row.
    pub row: RowId,
    /// The lease under which the row was sent; a verdict under an older epoch changes nothing.
    pub lease: LaneLease,
    /// What was wrong.
    pub fault: Fault,
    /// What happens to its successors if it dies of this.
    pub on_dead: OnDead,
    /// What goes into `last_error`: no payload, no credential.
    pub error: String,
}

impl Verdict {
    /// A verdict on a row.
    pub fn new(row: RowId, lease: LaneLease, fault: Fault, on_dead: OnDead, error: impl Into<String>) -> Self {
        Self {
            row,
            lease,
            fault,
            on_dead,
            error: error.into(),
        }
    }
}

/// What was wrong with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Refused, perhaps not for ever: counts one attempt and waits, or dies of it.
    Refused {
        /// How long to wait before the next attempt.
        delay: Duration,
        /// At this many attempts it is dead; 0 is for ever.
        max_attempts: u32,
    },
    /// Can never be delivered: dead at once.
    Rejected,
}

/// What a verdict did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerdictOutcome {
    /// The row waits; its aggregate waits with it if the row is ordered.
    Waits {
        /// Refusals so far.
        attempts: u32,
    },
    /// The row is dead and its successors may go on.
    Dead,
    /// The row is dead and holds its aggregate.
    Holds,
    /// The row was done, dead or gone already: it is settled, and nothing was changed. (One that is dead and holding answers `Holds`.)
    Settled,
    /// The lane has another owner by now; nothing was changed.
    LaneLost,
}

/// What happens to rows that were delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retention {
    /// They stay this long, with the time of their delivery, and are then purged.
    Keep(Duration),
    /// The ack deletes them: the fast path.
    Delete,
}

impl Default for Retention {
    /// Seven days.
    fn default() -> Self {
        Self::Keep(Duration::from_hours(7 * 24))
    }
}

/// What a relay asks of a database.
///
/// Every method is one autocommit statement (or a read), so that a relay stopped between two of them holds no lock. Every method may be
/// called again after an error. All times are the database's.
///
/// # Cancel safety
/// A future that is dropped leaves its statement either done or not done, never half done. Every method may then be called again: at worst a
/// lane is leased that nobody knows of until its lease is over, or an attempt is counted twice.
pub trait Store: Send + Sync + 'static {
    /// Checks the outbox and registers this relay.
    ///
    /// # Errors
    /// [`StoreErrorKind::Misconfigured`] with the command that mends it, if the table is missing or of another version, or set up so that a
    /// promise cannot hold.
    fn open(&self, relay: RelayId) -> impl Future<Output = Result<Opened, StoreError>> + Send;

    /// Renews the leases given and says how many relays are alive. Registers this relay as alive.
    ///
    /// A relay is alive if it was heard of less than one lease length ago, and not in the future. A lease that is over is renewed too as long
    /// as nobody has taken the lane.
    fn renew(&self, relay: RelayId, held: &[LaneLease]) -> impl Future<Output = Result<Renewed, StoreError>> + Send;

    /// Takes up to `limit` lanes that nobody holds or whose lease is over; the epoch of each rises by one.
    ///
    /// A lease is over when its end is not within one lease length from now: in the past, or so far ahead that the clock was stepped back.
    fn take(&self, relay: RelayId, limit: u8) -> impl Future<Output = Result<Vec<LaneLease>, StoreError>> + Send;

    /// Hands lanes back, so that another relay may take them at once; leases that are no longer ours are left alone.
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

    /// Reads rows of status pending, failed or dead-holding of several aggregates in one statement: up to `limit` rows of each, by id.
    ///
    /// The aggregates come in the order of `wanted`, the rows of each together; fewer than `limit` of them means that the snapshot held no more.
    fn read_aggregates(&self, wanted: &[AggregateRead], limit: u32) -> impl Future<Output = Result<Vec<Record>, StoreError>> + Send;

    /// Reads rows of status scheduled or failed whose time has come, by lane, time and id, up to `limit` for each lane.
    fn read_due(&self, lanes: &[(u8, DueCursor)], limit: u32) -> impl Future<Output = Result<Vec<DueRow>, StoreError>> + Send;

    /// Reads the payload of a row whose payload was deferred; `None` if the row is gone, `Some(None)` if it is a tombstone.
    fn read_payload(&self, row: RowId) -> impl Future<Output = Result<Option<Option<Vec<u8>>>, StoreError>> + Send;

    /// Where each row stands, in the order given; `None` where it is gone.
    fn look_up(&self, rows: &[RowId]) -> impl Future<Output = Result<Vec<Option<Status>>, StoreError>> + Send;

    /// Records that rows were delivered. Needs no lease: what is delivered is delivered, whoever says so. Rows that are gone are skipped.
    fn done(&self, rows: &[RowId], retention: Retention) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Records failures, one answer for each verdict, in the order given.
    ///
    /// A verdict changes a row only while its lease is the lane's current one and the row is pending, scheduled or failed. One call names a
    /// row at most once.
    fn fail(&self, relay: RelayId, verdicts: &[Verdict]) -> impl Future<Output = Result<Vec<VerdictOutcome>, StoreError>> + Send;

    /// Deletes up to `limit` rows that were delivered (or discarded) longer than `older_than` ago; answers how many.
    fn purge(&self, older_than: Duration, limit: u32) -> impl Future<Output = Result<u64, StoreError>> + Send;
}
