//! Every store against the one conformance suite, and what is each store's own.

mod memory;
#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;
