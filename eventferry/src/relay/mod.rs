//! Carries committed events from the store to the broker, in order per aggregate.

mod core;
