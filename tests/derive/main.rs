//! What the derive and `define_outbox!` make.
