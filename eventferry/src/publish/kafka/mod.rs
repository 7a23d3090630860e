//! Kafka, through rdkafka.
//!
//! [`KafkaPublisher`] has two clients. The *plain* one ([`Publisher::publish`]) sends one event per request and answers for it alone. The
//! *pipelined* one ([`Pipelined::open`]) keeps many events in flight and still never lets an event overtake one that was refused:
//!
//! - it is idempotent and gapless, so that a refused batch stops everything behind it;
//! - that protects only partitions this client has written before, so each partition begins with a single event in flight until its
//!   acknowledgement (the *warm rule*), and again after a pause or when the topic changed;
//! - an event counts as delivered only if its report carries an offset: the client can report success without one, for an event that is in
//!   no log;
//! - the first report that is anything else ends the session, and the next session starts from nothing.
//!
//! With [`transactions`](KafkaPublisherBuilder::transactions) each batch of a session is one Kafka transaction instead.
//!
//! Only a C compiler and make are needed to build it. Messages of rdkafka's consumers implement [`IncomingMessage`](crate::IncomingMessage).

mod alone;
mod client;
mod clock;
mod config;
mod current;
mod error;
mod gapless;
mod incoming;
mod losses;
mod plain;
mod publisher;
mod session;
mod settings;
mod topics;
mod transactions;
mod warm;

#[doc(inline)]
pub use config::KafkaPublisherBuilder;
#[doc(inline)]
pub use publisher::KafkaPublisher;

#[cfg(all(test, feature = "relay"))]
pub(crate) use {
    plain::is_in_log,
    warm::{Flow, WarmRule},
};

#[expect(unused_imports, reason = "named in the docs")]
use crate::publish::{Pipelined, Publisher};
