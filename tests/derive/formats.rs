//! What the tests of all formats need.

use std::future::Future;

use eventferry::store::memory::MemoryStore;
use eventferry::{Message, Outbox, SchemaError};

/// Runs what needs no server and never waits.
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// The only row, as it travels.
pub(crate) fn only_message(store: &MemoryStore) -> Message {
    let [row] = <[_; 1]>::try_from(store.rows()).expect("one row");
    row.into_message("test")
}

/// Why a set cannot be made, with all causes.
pub(crate) fn refusal<S: eventferry::registry::EventSet>(made: Result<Outbox<S>, SchemaError>) -> String {
    let Err(error) = made else { return format!("{made:?} was made") };
    let source = std::error::Error::source(&error).expect("a cause");
    format!("{error}: {source}")
}
