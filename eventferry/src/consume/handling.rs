//! What a handler is given, and what it answers when it fails.

use std::error::Error as StdError;
use std::fmt;

use crate::consume::trace_context;
use crate::event::{Headers, IncomingMessage, Message, MessageId, TraceContext};

/// What a handler is told of an event besides the event itself.
///
/// It is the same at every attempt, so that what a handler derives from it is too. It is an [`IncomingMessage`]: give it to
/// [`Inbox::accept`](crate::consume::Inbox::accept) to handle the event once. `Debug` shows no payload, key or header value.
#[cfg_attr(all(feature = "derive", feature = "json-schema", feature = "relay"), doc = include_str!("examples/handler_context.md"))]
#[derive(Debug, Clone)]
pub struct HandlerContext {
    message: Message,
}

impl HandlerContext {
    pub(super) fn new(message: Message) -> Self {
        Self { message }
    }

    /// The event's identity, the same at every attempt.
    pub fn message_id(&self) -> Option<MessageId> {
        self.message.message_id()
    }

    /// The kind of aggregate the event is about.
    pub fn aggregate_type(&self) -> Option<&str> {
        self.message.aggregate_type()
    }

    /// Which aggregate of its type the event is about.
    pub fn aggregate_id(&self) -> Option<&str> {
        self.message.aggregate_id()
    }

    /// The row's id in the outbox it came from.
    pub fn position(&self) -> Option<i64> {
        self.message.position()
    }

    /// All headers, those of eventferry and those of the writer.
    pub fn headers(&self) -> &Headers {
        self.message.headers()
    }

    /// The trace the event was written in, if it carries a valid one.
    ///
    /// # Examples
    /// [`trace_context`](crate::consume::trace_context) shows it for a message.
    pub fn trace_context(&self) -> Option<TraceContext> {
        trace_context(&self.message)
    }

    /// The event as it was stored: topic, key and payload as well.
    pub fn message(&self) -> &Message {
        &self.message
    }
}

impl IncomingMessage for HandlerContext {
    fn topic(&self) -> &str {
        self.message.topic()
    }

    fn payload(&self) -> Option<&[u8]> {
        self.message.payload()
    }

    fn log_partition(&self) -> Option<i32> {
        self.message.log_partition()
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.message.header(name)
    }
}

/// Whose fault it is that an event was not handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HandlerErrorKind {
    /// The event failed, perhaps not for ever: one attempt is counted, and the event is dead when the relay's limit is reached.
    Retriable,
    /// The event can never be handled: it is dead at once.
    Rejected,
    /// What the handler needs is away: nothing is counted, and the events of the aggregate wait. Those of others are tried by themselves.
    Unavailable,
}

/// A handler that did not succeed.
///
/// Every error becomes one by `?`, and is then [`Retriable`](HandlerErrorKind::Retriable); the constructors say otherwise. For that this type
/// is no [`std::error::Error`] itself. The texts of the error and of its causes are stored with the row and shown to operators: keep what
/// the event holds out of them.
///
/// # Examples
/// ```
/// use eventferry::consume::{HandlerError, HandlerErrorKind};
///
/// fn read(amount: &str) -> Result<u32, HandlerError> {
///     Ok(amount.parse()?)
/// }
///
/// fn connect() -> Result<(), HandlerError> {
///     let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
///     Err(refused).map_err(HandlerError::unavailable)
/// }
///
/// assert_eq!(read("many").unwrap_err().kind(), HandlerErrorKind::Retriable);
/// assert_eq!(connect().unwrap_err().kind(), HandlerErrorKind::Unavailable);
/// assert_eq!(HandlerError::rejected("the account is closed").to_string(), "the account is closed");
/// ```
pub struct HandlerError {
    kind: HandlerErrorKind,
    error: Box<dyn StdError + Send + Sync>,
}

impl HandlerError {
    /// The event failed and is tried again; what `?` makes of an error.
    pub fn retriable(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(HandlerErrorKind::Retriable, error)
    }

    /// The event can never be handled.
    pub fn rejected(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(HandlerErrorKind::Rejected, error)
    }

    /// Something the handler needs is away, which is not the event's fault.
    pub fn unavailable(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(HandlerErrorKind::Unavailable, error)
    }

    fn new(kind: HandlerErrorKind, error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind, error: error.into() }
    }

    /// Whose fault it is.
    pub fn kind(&self) -> HandlerErrorKind {
        self.kind
    }

    /// The error itself, with its causes.
    ///
    /// # Examples
    /// ```
    /// use eventferry::consume::HandlerError;
    ///
    /// let refused = HandlerError::from(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
    /// assert!(refused.into_error().downcast::<std::io::Error>().is_ok());
    /// ```
    pub fn into_error(self) -> Box<dyn StdError + Send + Sync> {
        self.error
    }
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self::retriable(error)
    }
}

impl fmt::Display for HandlerError {
    /// Writes the error and its causes, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.error)?;
        let mut cause = self.error.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for HandlerError {
    /// Shows the text; the derived form of a foreign error may hold more than its text does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerError")
            .field("kind", &self.kind)
            .field("text", &self.to_string())
            .finish_non_exhaustive()
    }
}
