//! Everything the relay tells the world: one file, so that its names stay an interface.

use std::error::Error as StdError;
use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;

use super::core::Notice;
use crate::event::{IncomingMessage, Message};
use crate::publish::PublishError;
use crate::store::{StoreError, StoreErrorKind};

/// An error and its causes in one line.
pub(super) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Tells of a failing store once when it begins and once when it ends, not at every try.
pub(super) struct Outage {
    what: &'static str,
    patience: Duration,
    failing: bool,
}

impl Outage {
    /// `patience` is how long one answer may take.
    pub(super) fn new(what: &'static str, patience: Duration) -> Self {
        Self {
            what,
            patience,
            failing: false,
        }
    }

    /// The answer to a call of the store. The server's own time limits say nothing when the server itself is gone without a word.
    pub(super) async fn ask<T>(&mut self, call: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
        let answer = timeout(self.patience, call).await.unwrap_or_else(|_| {
            let text = format!("the database has not answered for {:?}", self.patience);
            Err(StoreError::new(StoreErrorKind::Unavailable, text))
        });
        self.note(answer)
    }

    fn note<T>(&mut self, result: Result<T, StoreError>) -> Option<T> {
        match result {
            Ok(value) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the relay can {} again", self.what);
                }
                Some(value)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(error = &error as &dyn StdError, "the relay cannot {}; it goes on trying", self.what);
                }
                None
            }
        }
    }
}

/// Each try of a topic that is away; that it is away is told once, by `tell`.
pub(super) fn not_described(topic: &str, error: &PublishError) {
    tracing::debug!(error = error as &dyn StdError, topic, "failed to look up a topic");
}

/// Each try of a schema that is away; that it is away is told once, by `tell`.
pub(super) fn not_learned(topic: &str, schema: &str, problem: &str) {
    tracing::debug!(problem, topic, schema, "failed to get ready for a schema");
}

pub(super) fn tell(notice: &Notice) {
    match notice {
        Notice::SchemaAway { topic, schema, problem } => tracing::warn!(
            topic = &**topic,
            schema = &**schema,
            problem,
            "a schema has no id yet; its events wait, uncounted, until that is mended"
        ),
        Notice::SchemaBack { topic, schema } => tracing::info!(topic = &**topic, schema = &**schema, "a schema has its id"),
        Notice::TopicAway(topic) => {
            tracing::warn!(
                topic = &**topic,
                "a topic is missing or may not be written to; its events wait, uncounted, until that is mended"
            );
        }
        Notice::TopicBack(topic) => tracing::info!(topic = &**topic, "a topic is back"),
        Notice::BrokerAway => tracing::warn!("the broker is away; events wait, uncounted, until it is back"),
        Notice::Careful { lanes } => tracing::warn!(
            lanes,
            "relays ended again and again with these lanes in their hands; their events go one at a time until the one that did it is found"
        ),
        Notice::Carefree => tracing::info!("every lane is well again; events go together"),
        Notice::Fenced { group, for_good: true } => tracing::error!(
            group,
            "another producer uses the transactional id of a group of lanes that are leased to this relay; it gives them up until it is started \
             again: find who else uses this prefix of transactional ids"
        ),
        Notice::Fenced { group, for_good: false } => tracing::warn!(
            group,
            "another producer used the transactional id of a group of lanes that are leased to this relay; it hands them back and takes them again"
        ),
        Notice::Locked { rows, one } => tracing::warn!(
            rows,
            id = one,
            "what became of these events cannot be recorded, because somebody else has their rows locked; they are tried again, and the others go \
             on: end the transaction that holds them"
        ),
        Notice::Unlocked => tracing::info!("no row is locked any more"),
        Notice::BrokerBack => tracing::info!("the broker is back"),
    }
}

pub(super) fn session_over(session: u64, error: &PublishError) {
    tracing::warn!(
        error = error as &dyn StdError,
        session,
        "broker session ended; a new one goes on at each first unsettled event"
    );
}

pub(super) fn refused(message: &Message, error: &PublishError) {
    let (id, event) = (message.message_id().map(|id| id.to_string()), message.event_type());
    tracing::debug!(
        error = error as &dyn StdError,
        topic = message.topic(),
        event,
        message_id = id,
        "publish failed"
    );
}
