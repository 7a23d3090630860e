//! What a schema registry could not do.

use std::error::Error as StdError;
use std::fmt;

/// What went wrong with a schema registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RegistryErrorKind {
    /// It does not answer, or asks to come back later: ask again.
    Unavailable,
    /// It wants other credentials, or forbids this to these.
    Unauthorized,
    /// It has no such schema, subject or id.
    NotFound,
    /// The compatibility level of the subject forbids the schema.
    Incompatible,
    /// It does not understand the schema, or its answer is not understood here.
    Invalid,
}

/// A call to a schema registry that did not succeed.
///
/// The text says what was attempted, on which subject or id; it never holds a credential.
///
/// # Examples
/// ```
/// use eventferry::schema::{RegistryError, RegistryErrorKind};
///
/// fn is_worth_repeating(error: &RegistryError) -> bool {
///     matches!(error.kind(), RegistryErrorKind::Unavailable | RegistryErrorKind::Unauthorized)
/// }
///
/// assert!(is_worth_repeating(&RegistryError::new(RegistryErrorKind::Unavailable, "failed to fetch schema 9: no answer")));
/// assert!(!is_worth_repeating(&RegistryError::new(RegistryErrorKind::NotFound, "failed to fetch schema 9: there is none")));
/// ```
#[derive(Debug)]
pub struct RegistryError {
    kind: RegistryErrorKind,
    text: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl RegistryError {
    /// A failure of a kind. The text is lower case and says what was attempted, on what.
    pub fn new(kind: RegistryErrorKind, text: impl Into<String>) -> Self {
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

    /// What went wrong.
    pub fn kind(&self) -> RegistryErrorKind {
        self.kind
    }
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for RegistryError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn StdError + 'static))
    }
}
