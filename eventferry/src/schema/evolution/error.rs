//! Why two schemas could not be compared.

use std::error::Error as StdError;
use std::fmt;

/// Why two schemas could not be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EvolutionErrorKind {
    /// They are not written in one language.
    DifferentKinds,
    /// A text is no schema of its language.
    Invalid,
    /// The feature for their language is off.
    Unsupported,
}

/// Two schemas that could not be compared.
///
/// # Examples
/// ```
/// use eventferry::schema::evolution::{EvolutionErrorKind, compare};
/// use eventferry::schema::{Schema, SchemaKind};
///
/// let (json, avro) = (Schema::new(SchemaKind::Json, "OrderPaid", "{}"), Schema::new(SchemaKind::Avro, "OrderPaid", "{}"));
/// assert_eq!(compare(&json, &avro).unwrap_err().kind(), EvolutionErrorKind::DifferentKinds);
/// ```
#[derive(Debug)]
pub struct EvolutionError {
    kind: EvolutionErrorKind,
    text: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl EvolutionError {
    pub(super) fn new(kind: EvolutionErrorKind, text: String) -> Self {
        Self { kind, text, source: None }
    }

    /// A text that is no schema. `which` is the old or the new one.
    #[cfg(any(feature = "json", feature = "avro", feature = "protobuf"))]
    pub(super) fn invalid(which: &str, name: &str, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            kind: EvolutionErrorKind::Invalid,
            text: format!("failed to read the {which} schema of `{name}`"),
            source: Some(source.into()),
        }
    }

    /// What went wrong.
    pub fn kind(&self) -> EvolutionErrorKind {
        self.kind
    }
}

impl fmt::Display for EvolutionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for EvolutionError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn StdError + 'static))
    }
}
