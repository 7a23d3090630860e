//! Protobuf: a field is its number, and what the wire carries for one type is read as another.
//!
//! The message of the schema is compared, and what it uses; other messages of the file are not. Where the wire can be read but a value becomes
//! another (a number that is cut off, one of two members that now exclude each other), nothing is called compatible.

mod file;
mod message;
mod scalar;

use std::collections::BTreeSet;

use file::File;
use message::Comparison;

use crate::schema::Schema;
use crate::schema::evolution::EvolutionError;
use crate::schema::evolution::findings::{Direction, Findings};

pub(super) fn compare(old: &Schema, new: &Schema, findings: &mut Findings) -> Result<(), EvolutionError> {
    let read = |which: &str, schema: &Schema| File::parse(&schema.text).map_err(|e| EvolutionError::invalid(which, &schema.name, e));
    let (old_file, new_file) = (read("old", old)?, read("new", new)?);
    let root = |which: &str, schema: &Schema, file: &File| {
        let none = || {
            EvolutionError::invalid(
                which,
                &schema.name,
                format!("the file has no message at {:?}", schema.message_index),
            )
        };
        file.message_at(&schema.message_index).ok_or_else(none)
    };
    let (old_root, new_root) = (root("old", old, &old_file)?, root("new", new, &new_file)?);
    if old_root != new_root {
        findings.note("", "name", format!("message was `{old_root}`, is `{new_root}`"));
    }
    if old_file.is_open() != new_file.is_open() {
        findings.note("", "syntax", "`syntax` changed".to_owned());
    }
    for (direction, writer, reader) in [
        (Direction::Backward, (&old_file, &old_root), (&new_file, &new_root)),
        (Direction::Forward, (&new_file, &new_root), (&old_file, &old_root)),
    ] {
        let mut comparison = Comparison {
            direction,
            writer: writer.0,
            reader: reader.0,
            seen: BTreeSet::new(),
            findings,
        };
        comparison.messages(writer.1, reader.1, "");
    }
    Ok(())
}
