//! The contract book: the schema of every version of every event, committed beside payloads that must stay readable.
//!
//! A book is a folder of the repository, `schemas/` by habit, with a folder for each set named after its enum (`ShopEvent` has
//! `shop-event`). It holds, for each version of each event:
//!
//! * `OrderPlaced.v2.json` (`.avsc`, `.proto`): the schema. Where a set has events of one name on several topics, the topic tells them
//!   apart: `Deleted@orders.v1.json`.
//! * `OrderPlaced.v2.payload.json`: a payload of that version, made from the schema when the version is first written and never changed
//!   again; `OrderPlaced.v2.payload.<anything>.json` are more of them, such as one that was taken from a topic. Payloads of binary formats
//!   are hexadecimal text (`.hex`).
//!
//! [`assert_schemas!`](crate::assert_schemas) is the one line that a service's tests need. [`Outbox::check_book`] is the same as a value.

mod canonical;
mod check;
mod diff;
pub(super) mod example;
pub(super) mod example_avro;
mod example_json;
#[cfg(feature = "protobuf")]
mod example_protobuf;
mod finding;
mod judge;
mod names;
mod page;
mod pattern;
mod payload;
mod run;
#[cfg(all(test, feature = "derive"))]
mod tests;

use std::path::{Path, PathBuf};

pub use finding::{BookError, Finding, FindingKind};

use crate::registry::{EventSet, Outbox};

/// Whether a book is only compared, or also written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a book is read or written")]
pub enum BookMode {
    /// Nothing is written.
    Compare,
    /// What is new is added, and what changed compatibly is written anew. Nothing is deleted, no payload is changed, and a change that
    /// needs a version is refused as ever.
    Write,
}

impl<S: EventSet> Outbox<S> {
    /// Compares the set with its book below `folder`, and says which files were written.
    ///
    /// A file is written as a whole or not at all. [`assert_schemas!`](crate::assert_schemas) calls this with the mode that the environment
    /// asks for.
    ///
    /// # Errors
    /// [`BookError`] with everything that was found, not only the first of it. With [`BookMode::Write`] what could be written has been.
    #[cfg_attr(feature = "derive", doc = include_str!("../examples/check_book.md"))]
    pub fn check_book(folder: &Path, mode: BookMode) -> Result<Vec<PathBuf>, BookError> {
        check::check::<S>(folder, mode)
    }
}
