//! The relay on real PostgreSQL and Kafka.

#![expect(clippy::unwrap_used, reason = "writers and readers of the tests fail like the tests themselves")]
#![expect(clippy::print_stderr, reason = "seeds and figures belong to the report of a run")]

mod away;
#[cfg(feature = "schema-registry")]
mod cloud_events;
mod cluster;
mod crash;
mod crash_poison;
mod dead_letters;
#[cfg(all(feature = "schema-registry", feature = "encryption"))]
mod debezium;
#[cfg(all(feature = "schema-registry", feature = "encryption"))]
mod encrypted;
mod failure;
#[cfg(feature = "schema-registry")]
mod framed;
mod moving;
mod operator;
mod order;
mod outage;
mod partitions;
mod restore;
mod rig;
mod server;
mod sharing;
mod transactions;
#[cfg(feature = "schema-registry")]
mod typed;
mod upkeep;
mod verify;
mod waiting;
mod zombie;
