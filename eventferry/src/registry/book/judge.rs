//! Whether a schema that changed may stay the version it is.

use serde_json::Value;

use crate::codec::EventSchema;

/// What a change of a schema is.
pub(super) enum Judgement {
    /// Written and read as before, or compatible; the text says which.
    Compatible(String),
    /// What is written or read changed so that it needs a version of its own; the text says how.
    NeedsVersion(String),
}

/// Compares a committed schema with the code's.
pub(super) fn judge(committed: &str, ours: &EventSchema) -> Judgement {
    let plain = |text: &str| {
        let mut schema: Value = serde_json::from_str(text).ok()?;
        let members = schema.as_object_mut()?;
        members.retain(|name, _| !matches!(name.as_str(), "title" | "description"));
        Some(schema)
    };
    match (plain(committed), plain(&ours.text)) {
        (Some(old), Some(new)) if old == new => Judgement::Compatible("it has another title or description".to_owned()),
        _ => Judgement::NeedsVersion("its schema is another".to_owned()),
    }
}
