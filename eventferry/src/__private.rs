//! What the macros expand to; not for direct use, and outside semantic versioning.
