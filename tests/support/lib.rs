//! What the tests share: where the servers are, fresh databases and topics, proxies, probes.

#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "kafka")]
pub mod kafka_proxy;
#[cfg(feature = "kafka")]
pub mod kafka_wire;
#[cfg(feature = "kafka")]
pub mod own_kafka;
#[cfg(feature = "postgres")]
pub mod own_postgres;
#[cfg(feature = "schema-registry")]
pub mod own_registry;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "schema-registry")]
pub mod registry_front;
pub mod servers;
pub mod standstills;
#[cfg(all(feature = "postgres", feature = "sqlite", feature = "kafka"))]
pub mod verify;

/// Those of `docs/contracts.md`.
#[cfg(all(doctest, feature = "contracts"))]
#[doc = include_str!("../../docs/contracts.md")]
pub mod contracts {}

/// Those of `docs/formats.md`.
#[cfg(all(doctest, feature = "avro"))]
#[doc = include_str!("../../docs/formats.md")]
pub mod formats {}

/// The code blocks of the project's `README.md` compile and run as doctests of this crate.
#[cfg(all(doctest, feature = "postgres", feature = "kafka"))]
#[doc = include_str!("../../README.md")]
pub mod readme {}

/// The same for `docs/operations.md`.
#[cfg(all(doctest, feature = "postgres", feature = "kafka"))]
#[doc = include_str!("../../docs/operations.md")]
pub mod operations {}

/// The same for `docs/delivery.md`.
#[cfg(all(doctest, feature = "postgres", feature = "kafka"))]
#[doc = include_str!("../../docs/delivery.md")]
pub mod delivery {}

/// The same for `docs/verify.md`.
#[cfg(all(doctest, feature = "postgres", feature = "kafka"))]
#[doc = include_str!("../../docs/verify.md")]
pub mod verify_page {}

/// The same for `docs/schema-registry.md`.
#[cfg(all(doctest, feature = "schema-registry"))]
#[doc = include_str!("../../docs/schema-registry.md")]
pub mod schema_registry_page {}

/// The same for `docs/postgres.md`.
#[cfg(all(doctest, feature = "postgres"))]
#[doc = include_str!("../../docs/postgres.md")]
pub mod postgres_page {}

/// The same for `docs/sqlite.md`.
#[cfg(all(doctest, feature = "sqlite"))]
#[doc = include_str!("../../docs/sqlite.md")]
pub mod sqlite_page {}
