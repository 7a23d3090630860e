//! The reference store, in memory: the contract of every store in the plainest code.
