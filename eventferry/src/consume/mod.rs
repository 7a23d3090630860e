//! The consuming side: trace context, and each message once.
