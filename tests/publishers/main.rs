//! Every publisher against the one conformance suite, and what is each publisher's own.

mod around;
mod kafka;
mod memory;
