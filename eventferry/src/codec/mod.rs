//! Events to bytes and back: one file for each format.
