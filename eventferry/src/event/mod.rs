//! What an event is: names, headers, messages. No I/O, no async, no format.

pub mod headers;
mod message;
mod names;

#[doc(inline)]
pub use headers::Headers;
pub use message::{IncomingMessage, Message};
pub use names::{AggregateId, AggregateType, MessageId, NameError, TableName, Topic};
