//! Transactional outbox: typed events written with your rows, carried to the broker in commit order, losing nothing.
//!
//! | to | see |
//! |---|---|
//! | say what an event is | [`OutboxEvent`](trait@OutboxEvent) and its derive, [`define_outbox!`], formats of payloads in [`codec`] |
//! | write events in a transaction, and read them | [`Outbox`], [`store`] |
//! | carry them to a broker | `relay` (feature `relay`), [`publish`] |
//! | handle each message once, or without a broker | [`consume`] |
//! | look at dead events and decide about them | [`Operate`] |
//! | agree with others on schemas | [`schema`], [`registry`] |
//! | test a store, a publisher, or the whole line | `testing` (feature `testing`) |
//!
#![cfg_attr(all(feature = "derive", feature = "json-schema", feature = "relay"), doc = include_str!("registry/examples/front_page.md"))]
//!
//! # Features
//! `default` is `derive` and `json`: all that a consumer, or a crate of events that is shared, needs. Features only add; without one, what
//! needs it does not compile, and nothing is left unchecked.
//!
//! | feature | default | adds | crates |
//! |---|---|---|---|
//! | `derive` | yes | `#[derive(OutboxEvent)]`, [`define_outbox!`] | `eventferry-derive` |
//! | `json` | yes | [`codec::Json`]: events as JSON are read and described | `schemars`, `serde`, `serde_json` |
//! | `json-schema` | | with `json`: events as JSON are checked and written | `jsonschema`, `schemars`, `serde`, `serde_json` |
//! | `avro` | | `codec::Avro`: `format = "avro"` | `apache-avro`, `serde`, `serde_json` |
//! | `protobuf` | | `codec::Protobuf`: `format = "protobuf"` | `prost`, `prost-reflect`, `prost-types`, `protox-parse`, `serde_json` |
//! | `schema-registry` | | `schema::confluent`: a client for registries with Confluent's REST API; `registry::Resolver` | `base64`, `http-body-util`, `httpdate`, `hyper`, `hyper-rustls`, `hyper-util`, `percent-encoding`, `rustls`, `rustls-native-certs`, `serde`, `serde_json`, `tokio` |
//! | `postgres` | | `store::postgres`: PostgreSQL 14 and later | `serde`, `serde_json`, `sqlx`, `tokio` |
//! | `sqlite` | | `store::sqlite`: SQLite, built in | `serde`, `serde_json`, `sqlx`, `tokio` |
//! | `encryption` | | `codec::AesGcmKeys`: payloads encrypted with AES-256-GCM | `aes-gcm` |
//! | `kafka` | | `publish::kafka`; rdkafka's messages are read | `rdkafka`, `serde`, `serde_json`, `tokio` |
//! | `relay` | | `relay` | `futures-util`, `rustc-hash`, `tokio` |
//! | `testing` | | `testing`: suites for stores and publishers, a verifier of the whole line, a proxy that breaks connections | `tokio` |
//! | `contracts` | | with `json-schema`: `assert_schemas!`, AsyncAPI documents, a catalogue | `jsonschema`, `schemars`, `serde`, `serde_json` |
//!
//! `kafka` builds librdkafka, which takes a C compiler and make; `sqlite` and `schema-registry` build C as well. Names that begin with `_` are
//! parts of others and not for use.

#[doc(hidden)]
pub mod __private;
mod clock;
pub mod codec;
pub mod consume;
pub mod event;
mod mutant;
pub mod outbox;
pub mod publish;
pub mod registry;
#[cfg(feature = "relay")]
pub mod relay;
pub mod schema;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;

#[doc = include_str!("registry/examples/derive.md")]
#[cfg(feature = "derive")]
pub use eventferry_derive::OutboxEvent;
#[doc = include_str!("registry/examples/define_outbox.md")]
#[cfg(feature = "derive")]
pub use eventferry_derive::define_outbox;

#[doc(inline)]
pub use event::{AggregateId, AggregateType, Headers, IncomingMessage, Message, MessageId, NameError, OutboxEvent, TableName, Topic};
#[doc(inline)]
pub use outbox::{RetryPolicy, order_key};
#[doc(inline)]
pub use publish::{Delivery, PublishError, PublishErrorKind, Publisher};
#[doc(inline)]
pub use registry::{DecodeError, DecodeErrorKind, Draft, Enqueue, EnqueueError, EnqueueErrorKind, Outbox, SchemaError};
#[doc(inline)]
pub use store::{OpenTransaction, Operate, Receipt, Retention, Store, StoreError, StoreErrorKind};
