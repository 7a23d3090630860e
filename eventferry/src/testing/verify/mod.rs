//! Verifies an outbox from end to end: writers, a store, relays, a broker, and a comparison of what committed with what arrived.
//!
//! [`Writers`] carry out a [`Workload`], planned by seed, on the store under test. Each of its transactions writes a journal beside its events, so
//! that the database says what committed and in which order, not the writers: whoever loses the connection in the middle of a `COMMIT` cannot know.
//! Meanwhile anything may be done to relays, database, broker and network: [`Schedule`] plans faults by seed, [`proxy`](crate::testing::proxy)
//! breaks lines. In the end [`Checker`] compares the [`Journal`] with the [`Arrivals`], and the [`Report`] says what was lost, made up, out
//! of order, and how long an aggregate stood still.
//!
//! `docs/verify.md` in the repository says how to run it against a setup of your own.

mod books;
mod check;
mod history;
mod journal;
mod report;
mod schedule;
#[cfg(test)]
mod tests;
mod workload;
mod writers;

#[cfg(feature = "postgres")]
pub use self::books::PostgresBooks;
#[cfg(feature = "sqlite")]
pub use self::books::SqliteBooks;
pub use self::books::{Books, BooksError, Entry, JournalledTransaction, MemoryBooks};
pub use self::check::Checker;
pub use self::history::History;
pub use self::journal::{Arrivals, Journal};
pub use self::report::{Report, Stall, Violation, Wrong};
pub use self::schedule::{Act, Database, Fault, Link, Schedule, Turn};
pub use self::workload::{End, Step, Transaction, Workload};
pub use self::writers::{Writers, Written};
