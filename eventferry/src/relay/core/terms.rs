//! What the core is told and what it asks for.

use std::sync::Arc;

use super::{Now, QueueKey};
use crate::event::Message;
use crate::outbox::{LaneLease, Record, RowId};
use crate::publish::{Presence, PublishErrorKind};
use crate::store::{
    AggregateRead, Doing, DueCursor, DueRow, LaneRead, ReadBatch, Renewed, Skimmed, Snapshot, Taken, Verdict, VerdictOutcome,
};

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Fact {
    /// A heartbeat was answered; `held` are the leases it renewed.
    Renewed {
        asked_at: Now,
        held: Vec<LaneLease>,
        answer: Renewed,
    },
    /// Lanes were taken.
    Taken { asked_at: Now, lanes: Vec<Taken> },
    /// A heartbeat or a taking failed; the store is away.
    LeaseCallFailed,
    /// A main read came back.
    Read { number: u64, batch: Option<ReadBatch> },
    /// Lanes were looked through.
    Skimmed { number: u64, found: Option<Vec<Skimmed>> },
    /// A read of some aggregates came back.
    Aggregates { number: u64, rows: Option<Vec<Record>> },
    /// A page of due rows came back.
    Due { number: u64, rows: Option<Vec<DueRow>> },
    /// A deferred payload came back.
    Loaded { row: RowId, key: QueueKey, payload: Loaded },
    /// A topic was looked up.
    Described {
        topic: Arc<str>,
        partitions: Result<u32, PublishErrorKind>,
    },
    /// The publisher was asked to get ready for a schema.
    Learned {
        topic: Arc<str>,
        schema: Arc<str>,
        problem: Option<String>,
    },
    /// A session is open.
    SessionOpened { session: u64 },
    /// A session is over (or could not be opened), every report of it has been told; what may be left of its client tells no more.
    SessionOver { session: u64, cause: Option<Cause> },
    /// Events were delivered.
    Delivered(Vec<u64>),
    /// A plain publish failed.
    Refused {
        token: u64,
        kind: PublishErrorKind,
        error: String,
        message: Box<Message>,
    },
    /// The broker was asked whether it is there.
    Probed { number: u64, presence: Presence },
    /// The rows of the last `Ack` are recorded as delivered but for those that somebody else has locked, or the store is away.
    Acked { locked: Option<Vec<RowId>> },
    /// Verdicts were answered, or the store is away.
    Judged {
        verdicts: Vec<Verdict>,
        outcomes: Option<Vec<VerdictOutcome>>,
    },
    /// There may be new rows.
    Wake,
    /// Drain and stop.
    Stop,
}

/// The answer to `Load`.
#[derive(Debug)]
pub(crate) enum Loaded {
    Failed,
    Gone,
    Payload(Option<Vec<u8>>),
}

/// Why a session ended.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    pub(crate) token: Option<u64>,
    pub(crate) kind: PublishErrorKind,
}

/// Something to do, by the stage that does it.
#[derive(Debug)]
pub(crate) enum Command {
    Lease(LeaseCommand),
    Read(ReadCommand),
    Write(WriteCommand),
    Publish(PublishCommand),
    Tell(Notice),
}

/// What people should hear of, once when it begins and once when it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    TopicAway(Arc<str>),
    TopicBack(Arc<str>),
    SchemaAway {
        topic: Arc<str>,
        schema: Arc<str>,
        problem: String,
    },
    SchemaBack {
        topic: Arc<str>,
        schema: Arc<str>,
    },
    BrokerAway,
    BrokerBack,
    /// What became of rows cannot be recorded, because somebody else has them locked; one of them is named.
    Locked {
        rows: usize,
        one: i64,
    },
    Unlocked,
    /// Relays ended again and again with lanes that are now this one's: their events go one at a time.
    Careful {
        lanes: usize,
    },
    Carefree,
    /// Another producer has the transactional id of a group whose lanes are leased to this relay.
    Fenced {
        group: u8,
        for_good: bool,
    },
}

/// `Renew` and `Take` are answered by one fact each.
#[derive(Debug)]
pub(crate) enum LeaseCommand {
    Renew(Vec<LaneLease>, Doing),
    Take(u8),
    /// As many of these groups of lanes.
    TakeGroups {
        groups: Vec<u8>,
        size: u8,
        limit: u8,
    },
    Release(Vec<LaneLease>),
    /// These lanes are well: whatever ended their owners before is over.
    Forgive(Vec<LaneLease>),
    /// Everything is handed back: forget this relay.
    Close,
}

/// Each is answered by one fact.
#[derive(Debug)]
pub(crate) enum ReadCommand {
    Lanes {
        number: u64,
        snapshot: Option<Snapshot>,
        lanes: Vec<LaneRead>,
    },
    Skim {
        number: u64,
        lanes: Vec<LaneRead>,
    },
    Aggregates {
        number: u64,
        wanted: Vec<AggregateRead>,
        limit: u32,
    },
    Due {
        number: u64,
        lanes: Vec<(u8, DueCursor)>,
        limit: u32,
    },
    Payload {
        row: RowId,
        key: QueueKey,
    },
}

/// Each is answered by one fact.
#[derive(Debug)]
pub(crate) enum WriteCommand {
    Ack(Vec<RowId>),
    Judge(Vec<Verdict>),
}

/// A hand-over is answered by a delivery, a refusal, or the end of its session; the others by one fact each.
#[derive(Debug)]
pub(crate) enum PublishCommand {
    /// Is the broker there? A publisher with sessions is asked for the topic's partitions.
    Probe {
        number: u64,
        topic: Arc<str>,
    },
    Describe(Arc<str>),
    Learn {
        topic: Arc<str>,
        schema: Arc<str>,
    },
    /// For the lanes of one group.
    OpenSession {
        session: u64,
        group: u8,
    },
    CloseSession(u64),
    HandOver(Vec<HandOver>),
}

/// One event on its way to the publisher.
#[derive(Debug)]
pub(crate) struct HandOver {
    pub(crate) token: u64,
    pub(crate) way: Way,
}

#[derive(Debug)]
pub(crate) enum Way {
    /// Through the session, to a partition.
    Pipelined {
        session: u64,
        partition: i32,
        record: Record,
        source: Arc<str>,
    },
    /// By one call.
    Plain { record: Record, source: Arc<str> },
    /// To the dead-letter topic, by one call.
    DeadLetter { letter: Box<DeadLetter> },
}

/// A dead event on its way to the dead-letter topic.
#[derive(Debug)]
pub(crate) struct DeadLetter {
    pub(crate) topic: String,
    pub(crate) message: Message,
    pub(crate) reason: String,
    pub(crate) class: &'static str,
    pub(crate) attempts: u32,
}
