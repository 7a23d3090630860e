//! Numbered migrations as SQL texts, for the stores that run them and for people who run their own tool.

use std::borrow::Cow;
use std::fmt;

use crate::event::TableName;
use crate::store::statements::substitute;

/// One step of an outbox's schema: SQL that makes it and SQL that takes it back.
///
/// `Display` prints the step's number and name with the SQL that makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Migration {
    /// Counts from 1; an outbox remembers the last one it has seen.
    pub version: u32,
    /// What the step is about.
    pub name: &'static str,
    /// The SQL that makes it.
    pub up: Cow<'static, str>,
    /// The SQL that takes it back; refuses while that would lose an event.
    pub down: Cow<'static, str>,
}

/// One step as it stands in the sources, for a table named `outbox`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) version: u32,
    pub(crate) name: &'static str,
    pub(crate) up: &'static str,
    pub(crate) down: &'static str,
}

impl Step {
    /// The step for a table of any name.
    pub(crate) fn for_table(&self, table: &TableName) -> Migration {
        Migration {
            version: self.version,
            name: self.name,
            up: substitute(self.up, table),
            down: substitute(self.down, table),
        }
    }
}

impl fmt::Display for Migration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "-- eventferry migration {}: {}", self.version, self.name)?;
        f.write_str(&self.up)
    }
}
