//! Whether a schema that changed may stay the version it is.
//!
//! It may where everything that was written under the version is still read: such messages are in topics, logs and tables, and say the
//! same version. So the committed schema, as what was written, is compared with what the code reads today. Whether those who read with the
//! older code can read what is written today is told, and decides nothing: they cannot read a new version either.

use std::fmt::Write as _;

use crate::codec::{Contract, EventSchema, Version};
use crate::schema::SchemaKind;
use crate::schema::evolution::{Compatibility, Effect, Evolution, compare};

/// What a change of a schema is.
pub(super) enum Judgement {
    /// What was written is still read; the text says more.
    Compatible(String),
    /// What was written is not read any more, or nothing shows that it is; the text says how.
    NeedsVersion(String),
}

/// Compares a committed schema with the code's.
pub(super) fn judge(committed: &str, version: &Version, ours: &EventSchema) -> Judgement {
    let Some(written) = &ours.registered else {
        return Judgement::NeedsVersion("nothing here can compare schemas of its format".to_owned());
    };
    let with_text = |text: &str| {
        let mut schema = written.clone();
        text.clone_into(&mut schema.text);
        schema
    };
    let old = with_text(committed);
    // What a reader of JSON may find missing is written all the same, so the two sides have schemas of their own.
    let read = match written.kind {
        SchemaKind::Json => with_text(&(version.schema)(Contract::Read)),
        SchemaKind::Avro | SchemaKind::Protobuf => written.clone(),
    };
    let (reading, writing) = match (compare(&old, &read), compare(&old, written)) {
        (Ok(reading), Ok(writing)) => (reading.as_declared(), writing.as_declared()),
        (Err(error), _) | (_, Err(error)) => return Judgement::NeedsVersion(error.to_string()),
    };
    let text = told(&reading, &writing);
    if reading.is_backward() {
        Judgement::Compatible(text)
    } else {
        Judgement::NeedsVersion(text)
    }
}

/// The verdict, and what leads to it.
fn told(reading: &Evolution, writing: &Evolution) -> String {
    let verdict = match (reading.is_backward(), writing.is_forward()) {
        (true, true) => Compatibility::Full,
        (true, false) => Compatibility::Backward,
        (false, true) => Compatibility::Forward,
        (false, false) => Compatibility::None,
    };
    let mut text = format!("the change is {verdict}");
    let mut told = Vec::new();
    let back = reading
        .differences()
        .iter()
        .map(|one| (one, one.backward(), "what was written before is not read any more"));
    let forth = writing
        .differences()
        .iter()
        .map(|one| (one, one.forward(), "older readers cannot read what is written now"));
    for (one, effect, meaning) in back.chain(forth) {
        let place = if one.path().is_empty() { "/" } else { one.path() };
        let line = (place, one.change(), meaning);
        if effect == Effect::Breaks && !told.contains(&line) {
            told.push(line);
        }
    }
    for (place, change, meaning) in told {
        // A string takes whatever is written to it.
        let written = write!(text, "\n     `{place}` {change}: {meaning}");
        debug_assert!(written.is_ok(), "a string can be written to");
    }
    text
}
