//! Collects mistakes, so that all of them are reported at once.

use std::cell::RefCell;
use std::fmt::Display;

use quote::ToTokens;
use syn::Error;

/// The mistakes found so far.
pub(crate) struct Ctxt(RefCell<Vec<Error>>);

impl Ctxt {
    pub(crate) fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    /// A mistake that spans all of `at`.
    pub(crate) fn error(&self, at: impl ToTokens, text: impl Display) {
        self.push(Error::new_spanned(at, text));
    }

    pub(crate) fn push(&self, error: Error) {
        self.0.borrow_mut().push(error);
    }

    /// Whether a mistake speaks of an attribute already: that it is missing then need not be said as well.
    pub(crate) fn mentions(&self, attribute: &str) -> bool {
        let quoted = format!("`{attribute}`");
        self.0.borrow().iter().any(|error| error.to_string().contains(&quoted))
    }

    /// All mistakes as one error; nothing if there are none.
    pub(crate) fn finish(self) -> Result<(), Error> {
        let mut errors = self.0.into_inner().into_iter();
        let Some(mut all) = errors.next() else { return Ok(()) };
        for error in errors {
            all.combine(error);
        }
        Err(all)
    }
}
