//! The typed event set: what a producer enqueues and a consumer decodes.
