//! `assert_schemas!`. A macro of this kind stands at the root of its crate, wherever its file is.

/// Compares a set of events with its contract book: the schemas and payloads that are committed in a folder of the repository.
///
/// This line is all that a service's tests need:
/// ```
/// # use eventferry::{OutboxEvent, define_outbox};
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema, OutboxEvent)]
/// # #[outbox(topic = "orders", aggregate_type = "order")]
/// # struct OrderCreated { #[outbox(aggregate_id)] order_id: u64 }
/// # define_outbox! { type ShopEvents; #[derive(Debug)] enum ShopEvent { OrderCreated } }
/// # fn test() {
/// eventferry::assert_schemas!(ShopEvents, "schemas");
/// # }
/// ```
/// The folder is relative to the crate that the line stands in. Run the test with `EVENTFERRY_SCHEMAS=write` to begin a book, to add new events
/// and versions to it, and to accept a change that stays compatible; commit what it writes. It never writes where `CI` is set.
///
/// The test fails, with everything that it found, if
/// * a schema is not what the book says: with the changed lines, and whether the change is compatible. One that is not cannot be written; it
///   needs a new `version`;
/// * a payload in the book no longer reads as the set's event, through every step from its version to today's;
/// * a version has no schema or no payload in the book, or the book has an event or a version that the set has not.
///
/// Needs the feature `contracts`, best under `[dev-dependencies]`: it brings the checker of JSON Schemas, and neither a runtime nor a database.
/// # Panics
/// If anything was found.
#[cfg(feature = "contracts")]
#[macro_export]
macro_rules! assert_schemas {
    ($events:ty, $folder:expr $(,)?) => {
        <$events>::assert_book(::core::env!("CARGO_MANIFEST_DIR"), $folder)
    };
}

/// Compares a set of events with its contract book; needs the feature `contracts`.
#[cfg(not(feature = "contracts"))]
#[macro_export]
macro_rules! assert_schemas {
    ($($anything:tt)*) => {
        ::core::compile_error!(
            "`assert_schemas!` needs the feature `contracts` of eventferry: name it for eventferry under `[dev-dependencies]`"
        )
    };
}
