//! What the compiler says to a user's mistakes.
