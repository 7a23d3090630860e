//! What the derive and `define_outbox!` make.

mod attributes;
#[cfg(all(feature = "avro", feature = "protobuf"))]
mod avro;
mod decode;
#[cfg(all(feature = "avro", feature = "protobuf"))]
mod formats;
mod lifetimes;
mod node;
#[cfg(all(feature = "avro", feature = "protobuf"))]
mod own_format;
#[cfg(all(feature = "avro", feature = "protobuf"))]
mod personal;
#[cfg(all(feature = "avro", feature = "protobuf"))]
mod properties;
#[cfg(all(feature = "avro", feature = "protobuf"))]
mod proto_files;
#[cfg(all(feature = "avro", feature = "protobuf"))]
mod protobuf;
mod sets;
mod shared;
#[cfg(all(feature = "postgres", feature = "sqlite"))]
mod stores;
mod versions;
