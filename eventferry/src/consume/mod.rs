//! The consuming side: trace context, and each message once.

mod trace;

pub use trace::trace_context;
