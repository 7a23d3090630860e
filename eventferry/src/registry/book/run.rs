//! What `assert_schemas!` expands to.

use std::path::Path;

use crate::registry::book::{BookError, BookMode, Finding, FindingKind};
use crate::registry::{EventSet, Outbox};

/// The variable that asks for a book to be written.
const VARIABLE: &str = "EVENTFERRY_SCHEMAS";

impl<S: EventSet> Outbox<S> {
    /// What `assert_schemas!` expands to.
    #[doc(hidden)]
    #[track_caller]
    pub fn assert_book(crate_folder: &str, folder: impl AsRef<Path>) {
        let folder = Path::new(crate_folder).join(folder);
        let asked = std::env::var(VARIABLE).ok();
        let ci = std::env::var("CI").ok();
        let checked = mode(asked.as_deref(), ci.as_deref())
            .map_err(|finding| BookError::new(S::NAME, &folder, vec![finding], Vec::new()))
            .and_then(|mode| Self::check_book(&folder, mode));
        if let Err(error) = checked {
            panic!("{error}");
        }
    }
}

/// What the environment asks for.
fn mode(asked: Option<&str>, ci: Option<&str>) -> Result<BookMode, Finding> {
    let in_ci = ci.is_some_and(|value| !matches!(value, "" | "0" | "false"));
    match asked {
        None | Some("") => Ok(BookMode::Compare),
        Some("write") if in_ci => Err(Finding::new(
            FindingKind::NotWritable,
            format!("`{VARIABLE}=write` is set where `CI` is"),
            "write the book where the change is made, and commit it: a book that the pipeline writes agrees with anything",
        )),
        Some("write") => Ok(BookMode::Write),
        Some(_) => Err(Finding::new(
            FindingKind::NotWritable,
            format!("`{VARIABLE}` has a value that is not known"),
            format!("set `{VARIABLE}=write`, or leave it out to compare"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_book_is_written_on_request_and_never_in_a_pipeline() {
        assert_eq!(mode(None, None).unwrap(), BookMode::Compare);
        assert_eq!(mode(Some(""), Some("true")).unwrap(), BookMode::Compare);
        for ci in [None, Some(""), Some("false"), Some("0")] {
            assert_eq!(mode(Some("write"), ci).unwrap(), BookMode::Write, "{ci:?}");
        }
        for ci in ["true", "1", "woodpecker"] {
            let refused = mode(Some("write"), Some(ci)).unwrap_err();
            assert_eq!(refused.kind(), FindingKind::NotWritable, "{ci}");
        }
        for unknown in ["1", "Write", "true"] {
            assert!(
                mode(Some(unknown), None).is_err(),
                "a typing error must not look like a comparison: {unknown}"
            );
        }
    }
}
