//! What a relay and a store say to each other.

use std::fmt;
use std::time::Duration;

use uuid::Uuid;

use crate::outbox::{LaneLease, OnDead, Record, RowId};

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
    /// The outbox's own identity, the same for every relay of it and after a failover.
    pub outbox: String,
    /// Settings under which a promise rests on luck (such as `fsync = off`), one sentence each.
    pub warnings: Vec<String>,
}

impl Opened {
    /// An answer without warnings.
    pub fn new(lease: Duration, outbox: impl Into<String>) -> Self {
        Self {
            lease,
            outbox: outbox.into(),
            warnings: Vec::new(),
        }
    }
}

/// What a relay says of itself with each heartbeat: whether it counts among those that share the lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Doing {
    /// It takes any lane that it may.
    #[default]
    Sharing,
    /// There are lanes that it may not take until it is started again: what it leaves is the others' to carry.
    Barred,
}

impl Doing {
    /// As it stands in the table of relays.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Sharing => "sharing",
            Self::Barred => "barred",
        }
    }
}

/// A lane that was just taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Taken {
    /// The lease, new with this taking.
    pub lease: LaneLease,
    /// How many relays in a row, other than the one that takes it, did not hand this lane back; 0 after
    /// [`Store::forgive`](super::Store::forgive).
    pub deaths: u32,
}

impl Taken {
    /// A lane that was taken.
    pub const fn new(lease: LaneLease, deaths: u32) -> Self {
        Self { lease, deaths }
    }
}

/// What a heartbeat answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Renewed {
    /// The leases that are still this relay's, now for a whole lease length from the statement's own time.
    pub kept: Vec<LaneLease>,
    /// How many relays share the lanes: this one, and the others that were alive at that moment and not barred.
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

/// Rows of one aggregate, ordered or unordered ones, that were looked through without being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skimmed {
    /// The aggregate's order key.
    pub order_key: i64,
    /// Its ordered rows, or its unordered ones.
    pub ordered: bool,
    /// The lowest id among them.
    pub first: i64,
    /// The highest id among them.
    pub last: i64,
    /// How many there are.
    pub rows: u32,
}

impl Skimmed {
    /// Rows of an aggregate that lie between two ids.
    pub const fn new(order_key: i64, ordered: bool, first: i64, last: i64, rows: u32) -> Self {
        Self {
            order_key,
            ordered,
            first,
            last,
            rows,
        }
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
    /// The attempts it had when it was read, or that an earlier verdict counted. Where the row has others by now, this verdict has been
    /// written before and only its answer was lost: nothing is counted again.
    pub attempts: u32,
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
    pub fn new(row: RowId, attempts: u32, lease: LaneLease, fault: Fault, on_dead: OnDead, error: impl Into<String>) -> Self {
        Self {
            row,
            attempts,
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
    /// An operator asked that it is never delivered, and nothing of its aggregate is in flight: done, if it is still asked for.
    Discarded,
    /// Nothing yet: the event is about to be sent alone, because relays ended again and again with its lane in their hands. Counts one
    /// attempt *before* the send, so that an event which ends the process cannot do so for ever; the row stays where it stands, or is dead
    /// if it has had all its attempts.
    Begun {
        /// At this many attempts it is dead; 0 is for ever.
        max_attempts: u32,
    },
    /// Not the event's fault after all: takes back the attempt that [`Begun`](Self::Begun) counted. The row stays where it stands.
    Excused,
    /// As [`Refused`](Self::Refused), for an attempt that [`Begun`](Self::Begun) has counted already.
    RefusedAlone {
        /// How long to wait before the next attempt.
        delay: Duration,
        /// At this many attempts it is dead; 0 is for ever.
        max_attempts: u32,
    },
}

/// What a verdict did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerdictOutcome {
    /// The row waits; its aggregate waits with it if the row is ordered. After [`Fault::Begun`] and [`Fault::Excused`]: the row stands
    /// where it stood.
    Waits {
        /// Refusals so far.
        attempts: u32,
    },
    /// The row is dead and its successors may go on.
    Dead,
    /// The row is dead and holds its aggregate.
    Holds,
    /// The row was discarded, as an operator had asked; its successors may go on.
    Discarded,
    /// The row was done, dead or gone already: it is settled, and nothing was changed. (One that is dead and holding answers `Holds`.)
    Settled,
    /// The lane has another owner by now; nothing was changed.
    LaneLost,
    /// Somebody else has had the row locked for a while; nothing was changed, and the verdict is to be given again.
    Locked,
}

/// What happens to rows that were delivered.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use eventferry::Retention;
///
/// assert_eq!(Retention::default(), Retention::Keep(Duration::from_hours(7 * 24)));
/// ```
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
