//! The other side: rebuilds, for each file and each author, the list of commits as they arrive.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::time::Duration;

use eventferry::{IncomingMessage, MessageId};
use eventferry_examples::sandbox::Sandbox;
use rdkafka::consumer::StreamConsumer;
use rdkafka::message::BorrowedMessage;

use crate::events::{GitEvent, GitEvents};

/// How long nothing may arrive before something is wrong.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long nothing may arrive, with all relays stopped, before it is certain that nothing will.
const QUIET: Duration = Duration::from_secs(2);

/// What arrived.
#[derive(Default)]
pub(crate) struct Arrived {
    pub(crate) messages: HashSet<MessageId>,
    pub(crate) duplicates: usize,
    /// By kind and id of the aggregate: the commits, in the order in which they arrived first.
    pub(crate) commits: HashMap<(&'static str, String), Vec<String>>,
}

/// A consumer at work.
pub(crate) struct Rebuild {
    consumer: StreamConsumer,
    events: GitEvents,
    run: String,
    pub(crate) arrived: Arrived,
}

impl Rebuild {
    pub(crate) fn new(sandbox: &Sandbox, events: GitEvents) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            consumer: sandbox.consumer()?,
            events,
            run: sandbox.name().to_owned(),
            arrived: Arrived::default(),
        })
    }

    /// Takes messages until there are so many different ones.
    pub(crate) async fn until(&mut self, expected: usize) -> Result<(), Box<dyn Error>> {
        while self.arrived.messages.len() < expected {
            let Ok(message) = tokio::time::timeout(PATIENCE, self.consumer.recv()).await else {
                let so_far = self.arrived.messages.len();
                return Err(format!("nothing has arrived for {PATIENCE:?}; {so_far} of {expected} events so far").into());
            };
            take(&mut self.arrived, &self.events, &self.run, &message?)?;
        }
        Ok(())
    }

    /// Takes what there is.
    pub(crate) async fn rest(&mut self) -> Result<(), Box<dyn Error>> {
        while let Ok(message) = tokio::time::timeout(QUIET, self.consumer.recv()).await {
            take(&mut self.arrived, &self.events, &self.run, &message?)?;
        }
        Ok(())
    }
}

fn take(arrived: &mut Arrived, events: &GitEvents, run: &str, message: &BorrowedMessage<'_>) -> Result<(), Box<dyn Error>> {
    if message.text_header("git-run") != Some(run) {
        // Another run on the same broker.
        return Ok(());
    }
    if !arrived
        .messages
        .insert(message.message_id().ok_or("a message without `message-id`")?)
    {
        arrived.duplicates += 1;
        return Ok(());
    }
    let (aggregate, commit) = match events.decode(message)? {
        GitEvent::CommitAuthored(authored) => (("author", authored.author), authored.commit),
        GitEvent::FileChanged(changed) => (("file", changed.path), changed.commit),
    };
    arrived.commits.entry(aggregate).or_default().push(commit);
    Ok(())
}
