//! What tests of a service, and of a new store or publisher, can use.

pub mod conformance;
pub mod proxy;
pub mod verify;
