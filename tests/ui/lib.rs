//! What the compiler says to a user's mistakes: see `fail/` and `main.rs`. Here is what a shared crate of the user's exports.

#[path = "pass/documented.rs"]
pub mod documented;

/// The code blocks of the guide compile and run as doctests of this crate.
#[cfg(doctest)]
#[doc = include_str!("../../docs/attributes.md")]
pub mod attributes {}
