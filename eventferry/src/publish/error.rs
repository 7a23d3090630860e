//! Whose fault a failed publish is.

use std::error::Error as StdError;
use std::fmt;

/// How much of the broker a failure concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// The whole broker.
    Publisher,
    /// The event's topic.
    Topic,
    /// The event's partition.
    Partition,
}

/// Whose fault a failure is; the relay decides on this, never on text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PublishErrorKind {
    /// Nobody's: what is in scope waits, nothing is counted, all else flows.
    Unavailable(Scope),
    /// The broker asks to slow down; nothing is counted.
    Throttled,
    /// This event was refused, perhaps not for ever: one attempt is counted.
    Retriable,
    /// This event can never be delivered: it is dead at once.
    Rejected,
    /// Another producer took over the transactional id; this relay stops sending.
    Fenced,
}

/// A publish that did not succeed.
///
/// The text says what was attempted, on which topic; it never holds a payload, a key or a credential.
///
/// # Examples
/// What a publisher of one's own answers, by what its broker said:
/// ```
/// use eventferry::publish::Scope;
/// use eventferry::{PublishError, PublishErrorKind};
///
/// fn failure(status: u16, topic: &str) -> PublishError {
///     let kind = match status {
///         429 => PublishErrorKind::Throttled,
///         404 => PublishErrorKind::Unavailable(Scope::Topic),
///         400 | 413 => PublishErrorKind::Rejected,
///         _ => PublishErrorKind::Unavailable(Scope::Publisher),
///     };
///     PublishError::new(kind, format!("failed to publish to `{topic}`: the broker answered {status}"))
/// }
///
/// assert_eq!(failure(413, "orders").kind(), PublishErrorKind::Rejected);
/// ```
#[derive(Debug)]
pub struct PublishError {
    kind: PublishErrorKind,
    text: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl PublishError {
    /// A failure of a kind. The text is lower case and says what was attempted, on what.
    pub fn new(kind: PublishErrorKind, text: impl Into<String>) -> Self {
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

    /// Whose fault it is.
    pub fn kind(&self) -> PublishErrorKind {
        self.kind
    }
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for PublishError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn StdError + 'static))
    }
}
