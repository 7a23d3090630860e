//! What changes of schemas mean: by our own answer, and by a real registry's.

#![expect(clippy::print_stderr, reason = "seeds and figures belong to the report of a run")]

mod cases;
mod differences;
mod matrix;
