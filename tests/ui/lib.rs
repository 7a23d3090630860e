//! What the compiler says to a user's mistakes: see `fail/` and `main.rs`. Here is what a shared crate of the user's exports.

#[path = "pass/documented.rs"]
pub mod documented;
