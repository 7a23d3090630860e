//! The PostgreSQL store: the conformance suite, once with the default table and once in a schema of its own, and what is its own.

#![expect(clippy::unwrap_used, reason = "a test panics where a step fails")]

mod callers;
mod late;
mod locked;
mod locks;
mod operate;
mod order;
mod own;
mod pages;
mod plans;
mod purge;
mod races;
mod roles;
mod setup;
mod support;

use crate::postgres::support::fresh;

eventferry::conformance_store!(conformance, fresh!("outbox"));
eventferry::conformance_store!(conformance_in_a_schema, fresh!("sales.events"));
