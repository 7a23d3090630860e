//! What changes of schemas mean: by our own answer, and by a real registry's.

mod cases;
mod differences;
mod matrix;
