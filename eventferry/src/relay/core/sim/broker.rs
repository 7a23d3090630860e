//! A broker that keeps the prefix rule within a session and partition, and promises nothing else.

use std::collections::{BTreeMap, VecDeque};

use crate::event::{Message, MessageId};

/// What the world was told of one event that arrived.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    pub(super) message_id: MessageId,
    pub(super) how: String,
}

/// Messages handed over to one session and not yet answered, by partition, in order.
#[derive(Debug, Default)]
pub(super) struct SimSession {
    pub(super) number: u64,
    pub(super) queues: BTreeMap<(String, i32), VecDeque<(u64, Message)>>,
    pub(super) broken: bool,
}

#[derive(Debug, Default)]
pub(super) struct Broker {
    pub(super) log: Vec<Arrival>,
}

impl Broker {
    pub(super) fn append(&mut self, message: &Message, how: String) {
        use crate::event::IncomingMessage;
        let message_id = message.message_id().expect("every message carries its id");
        self.log.push(Arrival { message_id, how });
    }
}
