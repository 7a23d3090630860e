//! What the derive and `define_outbox!` make.

mod attributes;
#[cfg(feature = "avro")]
mod avro;
mod decode;
mod lifetimes;
mod node;
mod sets;
mod shared;
#[cfg(all(feature = "postgres", feature = "sqlite"))]
mod stores;
mod versions;
