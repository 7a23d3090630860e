//! The consuming side: trace context, each message once, and handlers in the process of the relay.

mod contained;
mod handlers;
mod handling;
mod inbox;
mod standing;
#[cfg(all(test, feature = "derive", feature = "json-schema", feature = "relay"))]
mod tests;
mod trace;

pub use handlers::{Dispatcher, Handlers, HandlersError};
pub use handling::{HandlerContext, HandlerError, HandlerErrorKind};
pub use inbox::{Accepted, Inbox};
pub use standing::{InboxError, InboxErrorKind};
pub use trace::trace_context;
