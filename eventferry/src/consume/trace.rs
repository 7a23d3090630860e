//! The trace an event was written in, out of a message's headers.

use crate::event::{IncomingMessage, TraceContext, headers};

/// The trace context of a message, if it carries a valid one.
///
/// Strict, as the W3C Recommendation *Trace Context* asks: an invalid `traceparent` is no context at all, and an invalid `tracestate` is left
/// out of a valid one.
///
/// # Examples
/// ```
/// use eventferry::Message;
/// use eventferry::consume::trace_context;
///
/// let message = Message::new("orders", "{}")
///     .with_header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
/// assert_eq!(trace_context(&message).unwrap().parent_id(), "00f067aa0ba902b7");
/// assert_eq!(trace_context(&Message::new("orders", "{}").with_header("traceparent", "00-x-y-01")), None);
/// ```
pub fn trace_context<M: IncomingMessage + ?Sized>(message: &M) -> Option<TraceContext> {
    let context = TraceContext::new(message.text_header(headers::TRACEPARENT)?).ok()?;
    match message.text_header(headers::TRACESTATE) {
        None => Some(context),
        Some(state) => Some(context.clone().with_state(state).unwrap_or(context)),
    }
}
