//! What a format could not do. No text here may hold a value of a payload.

use std::error::Error as StdError;
use std::fmt;

/// What a format could not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CodecErrorKind {
    /// The event has no form in the format.
    Encode,
    /// The bytes are not an event of this type.
    Decode,
    /// The schema forbids it.
    Refused,
    /// The schema itself is wrong.
    Schema,
}

/// One thing in a payload that its schema forbids.
///
/// Holds names the schema declares, positions in lists and limits the schema sets; never a value, and never the key of a map.
///
/// # Examples
/// ```
/// use eventferry::codec::Violation;
///
/// let violation = Violation::new("/items/0/cents", "minimum", "must be at least 1");
/// assert_eq!((violation.pointer(), violation.rule(), violation.reason()), ("/items/0/cents", "minimum", "must be at least 1"));
/// assert_eq!(violation.to_string(), "`/items/0/cents` must be at least 1");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pointer: String,
    rule: String,
    reason: String,
}

impl Violation {
    /// A violation at a place. The caller answers for it that neither text holds a part of the payload.
    pub fn new(pointer: impl Into<String>, rule: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            rule: rule.into(),
            reason: reason.into(),
        }
    }

    /// Where: a JSON pointer, empty for the whole, with `*` for every name that the schema does not declare.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// The schema's keyword, such as `minimum`.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// What is wrong, as a sentence without its subject: `must be at least 1`.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => write!(f, "the payload {}", self.reason),
            pointer => write!(f, "`{pointer}` {}", self.reason),
        }
    }
}

/// A payload that could not be written, read or allowed.
///
/// The text never holds a value of the payload.
///
/// # Examples
/// ```
/// use eventferry::codec::{CodecError, CodecErrorKind, Violation};
///
/// let unreadable = CodecError::decode("a quote is missing").at(1, 12);
/// assert_eq!((unreadable.kind(), unreadable.place()), (CodecErrorKind::Decode, Some((1, 12))));
///
/// let refused = CodecError::refused(vec![Violation::new("/cents", "minimum", "must be at least 1")]);
/// assert_eq!((refused.kind(), refused.violations().len()), (CodecErrorKind::Refused, 1));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodecError {
    kind: CodecErrorKind,
    reason: String,
    place: Option<(usize, usize)>,
    violations: Vec<Violation>,
}

impl CodecError {
    fn of(kind: CodecErrorKind, reason: impl Into<String>) -> Self {
        Self {
            kind,
            reason: reason.into(),
            place: None,
            violations: Vec::new(),
        }
    }

    /// The event could not be written. The caller answers for it that the reason holds no value.
    pub fn encode(reason: impl Into<String>) -> Self {
        Self::of(CodecErrorKind::Encode, reason)
    }

    /// The bytes could not be read. The caller answers for it that the reason holds no value.
    pub fn decode(reason: impl Into<String>) -> Self {
        Self::of(CodecErrorKind::Decode, reason)
    }

    /// The schema forbids it.
    pub fn refused(violations: Vec<Violation>) -> Self {
        Self {
            violations,
            ..Self::of(CodecErrorKind::Refused, "the schema forbids it")
        }
    }

    /// The schema itself is wrong.
    pub fn schema(reason: impl Into<String>) -> Self {
        Self::of(CodecErrorKind::Schema, reason)
    }

    /// The same error with a line and a column of the payload, both from 1.
    #[must_use = "the error is returned, not changed in place"]
    pub fn at(mut self, line: usize, column: usize) -> Self {
        self.place = Some((line, column));
        self
    }

    /// What could not be done.
    pub fn kind(&self) -> CodecErrorKind {
        self.kind
    }

    /// Line and column of the payload, where it could not be read.
    pub fn place(&self) -> Option<(usize, usize)> {
        self.place
    }

    /// What the schema forbids; at most sixteen of them, and the first only of JSON with more than a thousand values.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.violations.split_first(), self.place) {
            (Some((first, [])), _) => first.fmt(f),
            (Some((first, rest)), _) => write!(f, "{first} (and {} more)", rest.len()),
            (None, Some((line, column))) => write!(f, "{} at line {line} column {column}", self.reason),
            (None, None) => f.write_str(&self.reason),
        }
    }
}

impl StdError for CodecError {}
