//! Why a relay did not start, or did not end well.

use std::error::Error as StdError;
use std::fmt;

use tokio::task::JoinError;

use crate::store::StoreError;

/// What a relay failed at; decisions match on this, never on text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RelayErrorKind {
    /// It did not start: the source is the [`StoreError`] that says why.
    Start,
    /// It had ended before what was waited for came about.
    Ended,
    /// One of its tasks panicked, which is a defect. Nothing is lost: other relays take its lanes when its lease is over.
    Panicked,
}

/// Why a relay did not start, or did not end well.
///
/// # Examples
/// Whether starting again can help, and else what to do:
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # #[cfg(feature = "sqlite")] {
/// use eventferry::publish::memory::MemoryPublisher;
/// use eventferry::relay::{Relay, RelayErrorKind};
/// use eventferry::store::sqlite::SqliteStore;
///
/// let empty = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
/// let error = Relay::builder(SqliteStore::new(empty), MemoryPublisher::new()).build()?.start().await.unwrap_err();
/// assert_eq!(error.kind(), RelayErrorKind::Start);
/// assert!(!error.is_retryable(), "no outbox comes about by waiting");
/// assert_eq!(error.to_string(), "failed to start the relay on its outbox");
/// let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
/// assert!(cause.contains("migrate"), "{cause}");
/// # }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct RelayError {
    kind: RelayErrorKind,
    retryable: bool,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl RelayError {
    pub(super) fn start(error: StoreError) -> Self {
        Self {
            kind: RelayErrorKind::Start,
            retryable: error.is_retryable(),
            source: Some(Box::new(error)),
        }
    }

    pub(super) fn ended() -> Self {
        Self {
            kind: RelayErrorKind::Ended,
            retryable: false,
            source: None,
        }
    }

    pub(super) fn panicked(error: JoinError) -> Self {
        Self {
            kind: RelayErrorKind::Panicked,
            retryable: false,
            source: Some(Box::new(error)),
        }
    }

    /// What it failed at.
    pub fn kind(&self) -> RelayErrorKind {
        self.kind
    }

    /// Whether another start a moment later can help: the database was away, or busy, and nothing has to be mended first.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }
}

impl fmt::Display for RelayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            RelayErrorKind::Start => "failed to start the relay on its outbox",
            RelayErrorKind::Ended => "the relay ended before its counters got there",
            RelayErrorKind::Panicked => "a task of the relay panicked",
        })
    }
}

impl StdError for RelayError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn StdError + 'static))
    }
}
