//! Differences while they are being found: what both directions say of one place and one rule becomes one difference.

use std::collections::BTreeMap;

use crate::schema::evolution::{Difference, Effect};

/// Which of the two reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// The new schema reads what the old one wrote.
    Backward,
    /// The old schema reads what the new one wrote.
    Forward,
}

/// What is known so far, by path and by the rule that changed there.
#[derive(Debug, Default)]
pub(super) struct Findings {
    found: BTreeMap<(String, String), Difference>,
}

impl Findings {
    /// A difference that, as far as is known here, breaks nothing. The first text for a place and a rule stays.
    pub(super) fn note(&mut self, path: &str, rule: &str, change: String) -> &mut Difference {
        self.found.entry((path.to_owned(), rule.to_owned())).or_insert_with(|| Difference {
            path: path.to_owned(),
            change,
            backward: Effect::Safe,
            forward: Effect::Safe,
        })
    }

    /// A difference that breaks a direction.
    pub(super) fn breaks(&mut self, direction: Direction, effect: Effect, path: &str, rule: &str, change: String) {
        let difference = self.note(path, rule, change);
        let known = match direction {
            Direction::Backward => &mut difference.backward,
            Direction::Forward => &mut difference.forward,
        };
        *known = effect.max(*known);
    }

    /// A difference that breaks both directions.
    pub(super) fn breaks_both(&mut self, path: &str, rule: &str, change: String) {
        self.breaks(Direction::Backward, Effect::Breaks, path, rule, change.clone());
        self.breaks(Direction::Forward, Effect::Breaks, path, rule, change);
    }

    pub(super) fn into_differences(self) -> Vec<Difference> {
        self.found.into_values().collect()
    }
}

/// A path one name further down.
#[cfg(any(feature = "json", feature = "avro", feature = "protobuf"))]
pub(super) fn below(path: &str, name: &str) -> String {
    format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// What happened to something that was and is, or is new, or is gone.
#[cfg(any(feature = "json", feature = "avro", feature = "protobuf"))]
pub(super) fn changed(what: &str, old: Option<String>, new: Option<String>) -> String {
    match (old, new) {
        (Some(old), Some(new)) => format!("{what} was {old}, is {new}"),
        (None, Some(new)) => format!("{what} {new} is new"),
        (Some(old), None) => format!("{what} {old} is gone"),
        (None, None) => format!("{what} changed"),
    }
}
