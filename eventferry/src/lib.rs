//! Transactional outbox: typed events written with your rows, carried to the broker in commit order, losing nothing.

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
