//! What is to happen in a simulated world, and when.

use std::cmp::Ordering;

use super::broker::{Place, SessionId};
use crate::event::Message;
use crate::relay::core::{Command, Fact, Now};
use crate::store::RelayId;

pub(super) enum Event {
    Write(usize),
    Turn {
        relay: usize,
        life: u64,
    },
    /// A statement reaches the database.
    Effect {
        relay: usize,
        life: u64,
        id: RelayId,
        stage: usize,
        asked_at: Now,
        command: Command,
    },
    /// A statement takes effect that was reported as failed.
    Late(RelayId, Command),
    /// A stage hears from the database.
    Answered {
        relay: usize,
        life: u64,
        stage: usize,
        fact: Option<Fact>,
    },
    /// Something is told to a relay.
    Answer {
        relay: usize,
        life: u64,
        facts: Vec<Fact>,
    },
    /// The broker takes the next message of a session's partition.
    Deliver(SessionId, Place),
    Plain {
        relay: usize,
        life: u64,
        token: u64,
        message: Message,
        letter: bool,
        heard: bool,
    },
    #[cfg(feature = "kafka")]
    Kafka(super::kafka::Step),
    Kill(usize),
    Start(usize),
    Pause(usize),
    Restart(usize),
    Steal(u8),
    /// Somebody else takes a group's transactional id.
    Fence(u8),
    ClockStep(i64),
    Photograph,
    FailOver,
    Stall {
        place: Place,
        until: Now,
    },
    TopicAway(Now),
    Operator,
}

pub(super) struct Scheduled {
    pub(super) at: Now,
    pub(super) number: u64,
    pub(super) event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    /// The earliest is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}
