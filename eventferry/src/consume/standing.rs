//! What a message is known by, and why that cannot be told.

use std::error::Error as StdError;
use std::fmt;

use crate::event::{IncomingMessage, MessageId, headers};
use crate::store::{Place, StoreError};

/// What a message is known by.
pub(super) enum Seen {
    As(MessageId),
    At(Standing),
}

impl Seen {
    /// By its message id.
    pub(super) fn by_id<M: IncomingMessage + ?Sized>(message: &M) -> Result<Self, InboxError> {
        id_of(message).map(Self::As)
    }

    /// By its position; by its message id if it has left its place in the order, and so has no position to go by.
    pub(super) fn by_position<M: IncomingMessage + ?Sized>(message: &M) -> Result<Self, InboxError> {
        if message.header(headers::EVENT_ORDER).is_some() {
            return Self::by_id(message);
        }
        Standing::of(message).map(Self::At)
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::As(id) => write!(f, "message `{id}`"),
            Self::At(standing) => write!(
                f,
                "the message at position {} of topic `{}`",
                standing.position,
                standing.topic.escape_debug()
            ),
        }
    }
}

/// The most bytes of a source that is remembered. Ours have about 80; of one that is much longer no index entry can be made, and the database would
/// say so by ending the caller's transaction.
const SOURCE_MAX: usize = 1_000;

/// Where a message stands; its own copy, so that the message need not be shared between threads.
pub(super) struct Standing {
    source: String,
    topic: String,
    partition: Option<i32>,
    aggregate_type: String,
    aggregate_id: String,
    position: i64,
}

impl Standing {
    fn of<M: IncomingMessage + ?Sized>(message: &M) -> Result<Self, InboxError> {
        let missing = |name: &str| InboxError {
            kind: InboxErrorKind::NoPosition,
            text: format!(
                "failed to accept a message of topic `{}` by its position: it has no usable header `{name}`",
                message.topic().escape_debug()
            ),
            store: None,
        };
        let text = |name: &str| message.text_header(name).map(str::to_owned).ok_or_else(|| missing(name));
        let source = text(headers::EVENT_SOURCE)?;
        if source.len() > SOURCE_MAX {
            return Err(missing(headers::EVENT_SOURCE));
        }
        Ok(Self {
            source,
            topic: message.topic().to_owned(),
            partition: message.log_partition(),
            aggregate_type: text(headers::AGGREGATE_TYPE)?,
            aggregate_id: text(headers::AGGREGATE_ID)?,
            position: message.position().ok_or_else(|| missing(headers::EVENT_POSITION))?,
        })
    }

    pub(super) fn place<'a>(&'a self, consumer: &'a str) -> Place<'a> {
        Place::new(
            consumer,
            &self.source,
            &self.topic,
            &self.aggregate_type,
            &self.aggregate_id,
            self.position,
        )
        .in_partition(self.partition)
    }
}

fn id_of<M: IncomingMessage + ?Sized>(message: &M) -> Result<MessageId, InboxError> {
    message.message_id().ok_or_else(|| InboxError {
        kind: InboxErrorKind::NoMessageId,
        text: format!(
            "failed to accept a message of topic `{}`: it has no header `{}` with a UUID",
            message.topic().escape_debug(),
            headers::MESSAGE_ID
        ),
        store: None,
    })
}

/// Why the inbox could not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InboxErrorKind {
    /// The message carries no `message-id`, or one that is no UUID: it was not sent by a relay.
    NoMessageId,
    /// An inbox by position was asked, and the message does not say where it stands: one of `event-source`, `event-position`,
    /// `aggregate-type` and `aggregate-id` is missing or makes no sense. It was not sent by a relay.
    NoPosition,
    /// The database; see [`InboxError::store_error`].
    Store,
}

/// A message that could be neither accepted nor recognised.
///
/// The text names the topic and what is wrong; it holds nothing of the message's content.
///
/// # Examples
/// [`Inbox::accept`](crate::consume::Inbox::accept) shows one.
#[derive(Debug)]
pub struct InboxError {
    kind: InboxErrorKind,
    text: String,
    store: Option<StoreError>,
}

impl InboxError {
    pub(super) fn of_store(text: String, error: StoreError) -> Self {
        Self {
            kind: InboxErrorKind::Store,
            text,
            store: Some(error),
        }
    }

    /// Why; decide on this, never on text.
    pub fn kind(&self) -> InboxErrorKind {
        self.kind
    }

    /// What the database said.
    pub fn store_error(&self) -> Option<&StoreError> {
        self.store.as_ref()
    }

    /// Whether repeating the whole transaction can help.
    pub fn is_retryable(&self) -> bool {
        self.store.as_ref().is_some_and(StoreError::is_retryable)
    }
}

impl fmt::Display for InboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for InboxError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.store.as_ref().map(|error| error as &(dyn StdError + 'static))
    }
}
