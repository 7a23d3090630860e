//! The consuming side: trace context, and each message once.

mod inbox;
mod trace;

pub use inbox::{Accepted, Inbox, InboxError, InboxErrorKind};
pub use trace::trace_context;
