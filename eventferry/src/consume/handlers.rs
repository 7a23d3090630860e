//! Handlers in this process, in the place of a broker.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;

use crate::codec::Versions;
use crate::consume::contained::{Contained, contain};
use crate::consume::{HandlerContext, HandlerError, HandlerErrorKind};
use crate::event::{IncomingMessage, Message, OutboxEvent, headers};
use crate::publish::{BoxFuture, Delivery, Presence, PublishError, PublishErrorKind, Publisher, Scope};
use crate::registry::{DecodeError, EventOf, EventSet, Outbox};

/// A handler at work.
type Handling = BoxFuture<'static, Result<(), HandlerError>>;

/// Decodes a message as the event of one handler, and calls it.
type Handler<S> = Box<dyn Fn(&Outbox<S>, &Message) -> Result<Handling, DecodeError> + Send + Sync>;

/// Handlers of a set's events, one for each type, on the way to a [`Dispatcher`].
///
/// The closure's argument says which event it is for.
#[cfg_attr(all(feature = "derive", feature = "json-schema", feature = "relay"), doc = include_str!("examples/handlers.md"))]
#[must_use = "handlers get no event until `build` made a dispatcher of them and a relay has it"]
pub struct Handlers<S> {
    dispatcher: Dispatcher<S>,
    twice: Option<&'static str>,
}

impl<S: EventSet> Handlers<S> {
    /// No handlers yet, for the events of a set.
    pub fn new(events: Outbox<S>) -> Self {
        Self {
            dispatcher: Dispatcher {
                events,
                handlers: S::ENTRIES.iter().map(|_| None).collect(),
                others: Others::Rejected,
            },
            twice: None,
        }
    }

    /// Adds the handler of an event: `|event: OrderCreated, ctx| async move { .. Ok(()) }`, or `async |event: OrderCreated, ctx| { .. Ok(()) }`
    /// where it captures nothing.
    ///
    /// The event is committed when its handler runs, and is done when the handler answers `Ok`; an error or a panic brings it again, as
    /// [`HandlerErrorKind`] says. The event may also be a view of a listed one that owns its data. A second handler of an event is the
    /// error of [`build`](Self::build).
    #[cfg_attr(all(feature = "derive", feature = "json-schema", feature = "relay"), doc = include_str!("examples/on.md"))]
    pub fn on<E, F, Fut>(mut self, handler: F) -> Self
    where
        E: OutboxEvent + for<'m> Versions<'m> + 'static,
        E::Listed: EventOf<S>,
        F: Fn(E, HandlerContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        let place = <E::Listed as EventOf<S>>::INDEX;
        let call: Handler<S> = Box::new(move |events, message| {
            let event = events.decode_as::<E>(message)?;
            Ok(Box::pin(handler(event, HandlerContext::new(message.clone()))))
        });
        if self.dispatcher.handlers[place].replace(call).is_some() {
            self.twice.get_or_insert(S::ENTRIES[place].name());
        }
        self
    }

    /// Lets events without a handler pass as handled, those that the set does not list included.
    ///
    /// Without it such an event is rejected: it stays in the table as a dead row, with a text that names it.
    #[cfg_attr(all(feature = "derive", feature = "json-schema", feature = "relay"), doc = include_str!("examples/ignore_others.md"))]
    pub fn ignore_others(mut self) -> Self {
        self.dispatcher.others = Others::Ignored;
        self
    }

    /// The publisher that hands each event to its handler.
    ///
    /// # Errors
    /// [`HandlersError`] naming the event that has two handlers. They would have to succeed and fail together: call both from one, or give
    /// each its own outbox.
    #[cfg_attr(all(feature = "derive", feature = "json-schema"), doc = include_str!("examples/handlers_build.md"))]
    pub fn build(self) -> Result<Dispatcher<S>, HandlersError> {
        match self.twice {
            Some(event) => Err(HandlersError { event }),
            None => Ok(self.dispatcher),
        }
    }
}

impl<S: EventSet> fmt::Debug for Handlers<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers")
            .field("dispatcher", &self.dispatcher)
            .field("twice", &self.twice)
            .finish()
    }
}

/// An event was given two handlers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to build the handlers: `{event}` has two; keep one `on` for each event")]
pub struct HandlersError {
    event: &'static str,
}

impl HandlersError {
    /// The event's name on the wire.
    pub fn event(&self) -> &'static str {
        self.event
    }
}

/// What becomes of events without a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    Rejected,
    Ignored,
}

/// A publisher that hands each event to the handler of its type, in this process; made by [`Handlers`].
///
/// With it a relay needs no broker. Events of one aggregate are handled one after the other, in the order of their commits; those of different
/// aggregates at the same time. **At least once**: a handler runs again if it fails, if the process ends before its success is recorded, and if
/// it takes longer than the relay's publish deadline, at which it is dropped. A handler that must not act twice asks
/// [`Inbox::accept`](crate::consume::Inbox::accept), to which it gives its context.
///
/// Handlers run in the relay's own task: they must not block the thread, and spawn what computes for long. A panic is caught where panics
/// unwind, so not with `panic = "abort"`; what it said goes to the panic hook and is not stored.
///
/// A relay to handlers has no dead-letter topic. Its dead events stay in the table, as any do; a dead letter is refused for ever, for its
/// handler must not get it again, so that with such a topic its events die in the table all the same, and say so.
#[cfg_attr(all(feature = "derive", feature = "json-schema"), doc = include_str!("examples/dispatcher.md"))]
pub struct Dispatcher<S> {
    events: Outbox<S>,
    /// By the place of the event in the set.
    handlers: Vec<Option<Handler<S>>>,
    others: Others,
}

impl<S: EventSet> Dispatcher<S> {
    /// Finds, decodes and calls; nothing to wait for if the event is ignored. All of it is code of the user's, but for the finding.
    fn start(&self, message: &Message) -> Result<Option<(&'static str, Handling)>, PublishError> {
        if message.header(headers::DLQ_ORIGINAL_TOPIC).is_some() {
            let why = "handlers in this process take no dead letters; start the relay without a dead-letter topic";
            return Err(refused(PublishErrorKind::Rejected, "a dead letter", message, why));
        }
        let place = match self.events.find(message) {
            Ok(place) => place,
            Err(error) if error.is_unknown() && self.others == Others::Ignored => return Ok(None),
            Err(error) => return Err(refused(PublishErrorKind::Rejected, "a message", message, error)),
        };
        let name = S::ENTRIES[place].name();
        let Some(handler) = &self.handlers[place] else {
            return match self.others {
                Others::Ignored => Ok(None),
                Others::Rejected => {
                    let why = "it has no handler; add one with `on`, or `ignore_others`";
                    Err(refused(PublishErrorKind::Rejected, &quoted(name), message, why))
                }
            };
        };
        match contain(|| handler(&self.events, message)) {
            Ok(Ok(handling)) => Ok(Some((name, handling))),
            Ok(Err(error)) => Err(refused(PublishErrorKind::Rejected, &quoted(name), message, error)),
            Err(_) => Err(panicked(name, message)),
        }
    }
}

impl<S: EventSet> Publisher for Dispatcher<S> {
    /// Handlers are always there.
    async fn probe(&self) -> Presence {
        Presence::There
    }

    /// Handles one event.
    ///
    /// # Errors
    /// [`PublishErrorKind::Retriable`] and [`PublishErrorKind::Rejected`] as the handler says; `Retriable` if it panicked; `Rejected` if the
    /// event cannot be decoded, has no handler, or is a dead letter. [`PublishErrorKind::Unavailable`] concerns the event's aggregate alone.
    ///
    /// # Cancel safety
    /// Dropping the future drops the handler where it waits; the relay then brings the event again.
    async fn publish(&self, message: &Message) -> Result<Delivery, PublishError> {
        let Some((name, handling)) = self.start(message)? else {
            return Ok(Delivery::default());
        };
        match Contained::new(handling).await {
            Ok(Ok(())) => Ok(Delivery::default()),
            Ok(Err(error)) => {
                let kind = match error.kind() {
                    HandlerErrorKind::Retriable => PublishErrorKind::Retriable,
                    HandlerErrorKind::Rejected => PublishErrorKind::Rejected,
                    // What one handler misses says nothing of the others, not even of those of its topic.
                    HandlerErrorKind::Unavailable => PublishErrorKind::Unavailable(Scope::Partition),
                };
                Err(refused(kind, &quoted(name), message, error.into_error()))
            }
            Err(_) => Err(panicked(name, message)),
        }
    }
}

impl<S: EventSet> fmt::Debug for Dispatcher<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handled = S::ENTRIES.iter().zip(&self.handlers).filter(|(_, handler)| handler.is_some());
        f.debug_struct("Dispatcher")
            .field("handled", &handled.map(|(entry, _)| entry.name()).collect::<Vec<_>>())
            .field("others", &self.others)
            .finish_non_exhaustive()
    }
}

fn quoted(name: &str) -> String {
    format!("`{name}`")
}

fn refused(kind: PublishErrorKind, what: &str, message: &Message, why: impl Into<Box<dyn StdError + Send + Sync>>) -> PublishError {
    let topic = message.topic().escape_debug();
    PublishError::new(kind, format!("failed to handle {what} of topic `{topic}`")).with_source(why)
}

fn panicked(name: &str, message: &Message) -> PublishError {
    refused(PublishErrorKind::Retriable, &quoted(name), message, "handler panicked")
}
