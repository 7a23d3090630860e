//! Whether a schema that changed may stay the version it is.
//!
//! It may where everything that was written under the version is still read: such messages are in topics, logs and tables, and say the
//! same version. So the committed schema, as what was written, is compared with what the code reads today. Whether those who read with the
//! older code can read what is written today is told, and decides nothing: they cannot read a new version either.

use std::fmt::Write as _;

use crate::codec::{Contract, EventSchema, Version};
use crate::registry::book::canonical;
use crate::schema::evolution::{Compatibility, Effect, Evolution, compare};
use crate::schema::{Schema, SchemaKind};

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
    if written.kind == SchemaKind::Avro {
        return avro(&old, written);
    }
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

/// Avro payloads are read with the schema of their version as that of their writer: what decides where a byte belongs must not change.
fn avro(old: &Schema, new: &Schema) -> Judgement {
    let (Some(was), Some(is)) = (canonical::form(&old.text), canonical::form(&new.text)) else {
        return Judgement::NeedsVersion("one of the two schemas is no JSON".to_owned());
    };
    if was == is {
        let what = "the change is fully compatible: bytes are read as before (only documentation, aliases, defaults and the like changed)";
        return Judgement::Compatible(what.to_owned());
    }
    let mut text = compare(old, new).map_or_else(|error| error.to_string(), |evolution| told(&evolution, &evolution));
    text.push_str(
        "\n     payloads of a version are read with its schema as that of their writer, so an Avro schema keeps its canonical form",
    );
    Judgement::NeedsVersion(text)
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
