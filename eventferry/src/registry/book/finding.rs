//! What a book and a set do not agree on.

use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};

/// What is wrong, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FindingKind {
    /// A version that the book does not have.
    Missing,
    /// A schema changed, and what is written and read stays compatible: the book can be written anew.
    Changed,
    /// A schema changed so that it needs a new version; no mode writes it.
    NeedsVersion,
    /// A version without any payload.
    NoPayload,
    /// A payload that no longer reads as the event.
    Undecodable,
    /// The book has an event that the set does not.
    EventGone,
    /// The book has a version of an event that the set no longer reads.
    VersionGone,
    /// Two events whose files some file systems cannot tell apart.
    Collision,
    /// A file or folder that cannot be read, or is not what it should be.
    Unreadable,
    /// A file that should be written and cannot be.
    NotWritable,
    /// The set itself cannot be used, such as one with a wrong schema.
    Unusable,
}

/// One thing that a book and a set do not agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    kind: FindingKind,
    what: String,
    remedy: String,
    diff: Option<String>,
}

impl Finding {
    pub(super) fn new(kind: FindingKind, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            remedy: remedy.into(),
            diff: None,
        }
    }

    pub(super) fn with_diff(mut self, diff: String) -> Self {
        self.diff = Some(diff);
        self
    }

    /// What is wrong; decide on this, never on text.
    pub fn kind(&self) -> FindingKind {
        self.kind
    }

    /// What is wrong, in words.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What to do about it.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }

    /// What changed, line by line, where a schema did.
    pub fn diff(&self) -> Option<&str> {
        self.diff.as_deref()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(diff) = &self.diff {
            write!(f, "\n\n{}", indented(diff))?;
        }
        write!(f, "\n  -> {}", self.remedy)
    }
}

/// A set that does not agree with its book.
#[cfg_attr(all(feature = "derive", feature = "json"), doc = include_str!("../examples/book_error.md"))]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookError {
    set: &'static str,
    folder: PathBuf,
    findings: Vec<Finding>,
    written: Vec<PathBuf>,
}

impl BookError {
    pub(super) fn new(set: &'static str, folder: &Path, findings: Vec<Finding>, written: Vec<PathBuf>) -> Self {
        Self {
            set,
            folder: folder.to_owned(),
            findings,
            written,
        }
    }

    /// Everything that was found, in the order of the set's enum; what belongs to no event comes last.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// What was written all the same.
    pub fn written(&self) -> &[PathBuf] {
        &self.written
    }
}

impl fmt::Display for BookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (set, folder) = (self.set, self.folder.display());
        write!(f, "`{set}` does not agree with its contract book `{folder}`:")?;
        for (number, finding) in self.findings.iter().enumerate() {
            write!(f, "\n\n{}. {finding}", number + 1)?;
        }
        for path in &self.written {
            write!(f, "\n\nwritten all the same: {}", path.display())?;
        }
        Ok(())
    }
}

impl StdError for BookError {}

fn indented(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(|line| format!("  {line}").trim_end().to_owned()).collect();
    lines.join("\n")
}
