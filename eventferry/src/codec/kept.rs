//! What is compiled once for each type and kept for the life of the process.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use crate::codec::CodecError;

/// By the type it belongs to. There are as many as there are types, so that they are kept for ever costs nothing that grows.
///
/// A static of a generic function is one for all types, so the type is the key.
pub(super) struct Kept<T: 'static>(RwLock<Option<HashMap<TypeId, &'static T>>>);

impl<T> Kept<T> {
    pub(super) const fn new() -> Self {
        Self(RwLock::new(None))
    }

    /// What belongs to a type, compiled by whoever asks first.
    pub(super) fn of(&self, ty: TypeId, compile: impl FnOnce() -> Result<T, CodecError>) -> Result<&'static T, CodecError> {
        // A panic while another one was compiled leaves the map as it was.
        let found = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = found.as_ref().and_then(|kept| kept.get(&ty)) {
            return Ok(found);
        }
        drop(found);
        let compiled = compile()?;
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Ok(kept
            .get_or_insert_default()
            .entry(ty)
            .or_insert_with(|| Box::leak(Box::new(compiled))))
    }
}
