//! The examples print what their first lines promise.
