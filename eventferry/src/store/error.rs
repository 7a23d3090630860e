//! What a store fails with.

use std::error::Error as StdError;
use std::fmt;

/// What kind of failure a [`StoreError`] is; decisions match on this, never on text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The database cannot be reached, or went away; nothing is known to have happened. Try again later.
    Unavailable,
    /// Deadlock, serialization failure or lock timeout: roll back, and repeat the whole transaction.
    Contention,
    /// The outbox is missing, has another version, or is set up in a way that would break a promise; the text says what to run.
    Misconfigured,
    /// The caller handed over something that the store cannot hold; the text says what.
    Invalid,
    /// Anything else the database said.
    Database,
}

/// A failure of the database, or of what it was asked to do.
///
/// The text says what was attempted and on what; it never holds a payload, a bind value or a credential. The cause is in `source()`.
///
/// # Examples
/// A transaction that is repeated where that can help, and as often as makes sense:
/// ```
/// use eventferry::{StoreError, StoreErrorKind};
///
/// fn carried_out(mut transaction: impl FnMut() -> Result<(), StoreError>) -> Result<(), StoreError> {
///     for _ in 0..3 {
///         match transaction() {
///             Err(error) if error.is_retryable() => {}
///             ended => return ended,
///         }
///     }
///     transaction()
/// }
///
/// let mut deadlocks = 2;
/// carried_out(|| match deadlocks {
///     0 => Ok(()),
///     _ => { deadlocks -= 1; Err(StoreError::new(StoreErrorKind::Contention, "failed to insert into `outbox`")) }
/// })?;
/// assert_eq!(deadlocks, 0);
/// # Ok::<(), StoreError>(())
/// ```
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    text: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl StoreError {
    /// A failure without a deeper cause. The text is lower case and says what was attempted, on what.
    pub fn new(kind: StoreErrorKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            source: None,
        }
    }

    /// The same failure with its cause.
    #[must_use = "the error is returned, not changed in place"]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Whether repeating the whole transaction can help.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, StoreErrorKind::Contention | StoreErrorKind::Unavailable)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn StdError + 'static))
    }
}
