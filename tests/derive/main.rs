//! What the derive and `define_outbox!` make.

mod attributes;
mod decode;
mod lifetimes;
mod sets;
mod shared;
mod versions;
