//! Why a message of another producer was not read.

use std::error::Error as StdError;
use std::fmt;

use crate::registry::{DecodeError, DecodeErrorKind};
use crate::schema::{RegistryError, RegistryErrorKind};

/// Why a message was not read by a [`Resolver`](crate::registry::Resolver).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResolveErrorKind {
    /// The registry could not tell the writer's schema.
    Registry(RegistryErrorKind),
    /// The message is none that can be read.
    Decode(DecodeErrorKind),
}

/// A message that was not read by a [`Resolver`](crate::registry::Resolver).
///
/// The text never holds a value of the payload.
///
/// # Examples
/// [`Resolver::decode`](crate::registry::Resolver::decode) shows how to decide about one.
#[derive(Debug)]
pub struct ResolveError(Cause);

#[derive(Debug)]
enum Cause {
    Registry(RegistryError),
    Decode(DecodeError),
}

impl ResolveError {
    /// Why; decide on this, never on text.
    pub fn kind(&self) -> ResolveErrorKind {
        match &self.0 {
            Cause::Registry(error) => ResolveErrorKind::Registry(error.kind()),
            Cause::Decode(error) => ResolveErrorKind::Decode(error.kind()),
        }
    }

    /// Whether the message may be as good as any: the registry is away, or wants other credentials. A consumer tries such a message again
    /// and skips none.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind(),
            ResolveErrorKind::Registry(RegistryErrorKind::Unavailable | RegistryErrorKind::Unauthorized)
        )
    }

    /// Whether the set does not list the event: the predicate of a consumer that skips what it does not know.
    pub fn is_unknown(&self) -> bool {
        self.kind() == ResolveErrorKind::Decode(DecodeErrorKind::UnknownEvent)
    }

    /// What is wrong with the message, where it is not the registry.
    pub fn decode_error(&self) -> Option<&DecodeError> {
        match &self.0 {
            Cause::Decode(error) => Some(error),
            Cause::Registry(_) => None,
        }
    }
}

impl From<RegistryError> for ResolveError {
    fn from(error: RegistryError) -> Self {
        Self(Cause::Registry(error))
    }
}

impl From<DecodeError> for ResolveError {
    fn from(error: DecodeError) -> Self {
        Self(Cause::Decode(error))
    }
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Registry(_) => f.write_str("failed to learn which schema a message was written with"),
            Cause::Decode(error) => error.fmt(f),
        }
    }
}

impl StdError for ResolveError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0 {
            Cause::Registry(error) => Some(error),
            Cause::Decode(error) => error.source(),
        }
    }
}
