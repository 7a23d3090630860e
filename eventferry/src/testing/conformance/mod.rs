//! The suites that hold every implementation of a seam to its contract.

pub mod publisher;
pub mod store;
