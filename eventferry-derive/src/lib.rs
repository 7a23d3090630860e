//! Macros of eventferry; documented where `eventferry` re-exports them.
