//! What a change of a schema means for those who write and those who read: an offline answer, from the two texts alone.
//!
//! [`compare`] says of every difference where it is, what changed and which direction it breaks:
//!
//! - **backward**: the new schema reads what the old one wrote. Consumers may be deployed first.
//! - **forward**: the old schema reads what the new one writes. Producers may be deployed first.
//!
//! A direction is called compatible only where that is shown; what cannot be shown counts as broken. The document `docs/evolution.md` tells what
//! each change means in each format, and where a schema registry says otherwise.

#[cfg(feature = "avro")]
mod avro;
mod error;
mod findings;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "protobuf")]
mod protobuf;
#[cfg(test)]
mod tests;

use std::fmt;

pub use error::{EvolutionError, EvolutionErrorKind};
use findings::Findings;

use crate::schema::{Schema, SchemaKind};

/// Compares two versions of a schema.
///
/// Reads the two texts and nothing else. What they name of other schemas ([`Schema::references`]) is taken to be the same as long as the
/// references are; where one changed, neither direction is called compatible.
///
/// # Errors
/// By [`EvolutionError::kind`]: [`DifferentKinds`](EvolutionErrorKind::DifferentKinds) if the two are not written in one language,
/// [`Invalid`](EvolutionErrorKind::Invalid) if one of the texts is no schema, [`Unsupported`](EvolutionErrorKind::Unsupported) if the feature
/// for the language is off.
///
/// # Examples
/// ```
/// # #[cfg(feature = "json")] {
/// use eventferry::schema::evolution::{Compatibility, compare};
/// use eventferry::schema::{Schema, SchemaKind};
///
/// let old = r#"{"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"], "additionalProperties": false}"#;
/// let new = r#"{"type": "object", "properties": {"id": {"type": "number"}}, "required": ["id"], "additionalProperties": false}"#;
/// let schema = |text| Schema::new(SchemaKind::Json, "Order", text);
///
/// let evolution = compare(&schema(old), &schema(new))?;
/// assert_eq!(evolution.compatibility(), Compatibility::Backward);
/// assert_eq!(
///     evolution.to_string(),
///     "backward compatible, not forward compatible:\n  /id  type was integer, is number  breaks forward\n",
/// );
/// # }
/// # Ok::<(), eventferry::schema::evolution::EvolutionError>(())
/// ```
pub fn compare(old: &Schema, new: &Schema) -> Result<Evolution, EvolutionError> {
    if old.kind != new.kind {
        return Err(EvolutionError::new(
            EvolutionErrorKind::DifferentKinds,
            format!(
                "failed to compare the schemas of `{}`: one is {}, the other {}",
                new.name,
                old.kind.as_str(),
                new.kind.as_str()
            ),
        ));
    }
    let mut findings = Findings::default();
    if old.references != new.references {
        findings.breaks_both("", "references", "the references to other schemas changed".to_owned());
    }
    let Some(differences) = comparer(new.kind) else {
        let text = format!(
            "failed to compare the schemas of `{}`: the feature for {} is off",
            new.name,
            new.kind.as_str()
        );
        return Err(EvolutionError::new(EvolutionErrorKind::Unsupported, text));
    };
    differences(old, new, &mut findings)?;
    Ok(Evolution {
        differences: findings.into_differences(),
    })
}

type Comparer = fn(&Schema, &Schema, &mut Findings) -> Result<(), EvolutionError>;

/// What finds the differences of a language's schemas; none where its feature is off.
#[cfg_attr(
    all(feature = "json", feature = "avro", feature = "protobuf"),
    expect(clippy::unnecessary_wraps, reason = "with fewer features some languages have none")
)]
fn comparer(kind: SchemaKind) -> Option<Comparer> {
    match kind {
        #[cfg(feature = "json")]
        SchemaKind::Json => Some(json::compare),
        #[cfg(not(feature = "json"))]
        SchemaKind::Json => None,
        #[cfg(feature = "avro")]
        SchemaKind::Avro => Some(avro::compare),
        #[cfg(not(feature = "avro"))]
        SchemaKind::Avro => None,
        #[cfg(feature = "protobuf")]
        SchemaKind::Protobuf => Some(protobuf::compare),
        #[cfg(not(feature = "protobuf"))]
        SchemaKind::Protobuf => None,
    }
}

/// What a difference does to one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "a decision is made on all three")]
pub enum Effect {
    /// Nothing.
    Safe,
    /// Breaks it for a writer that adds members which its JSON Schema neither names nor forbids; the writer of a derived type never does.
    /// A schema registry has to reckon with such writers.
    Undeclared,
    /// Breaks it, or nothing shows that it does not.
    Breaks,
}

/// One difference between two versions of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    path: String,
    change: String,
    backward: Effect,
    forward: Effect,
}

impl Difference {
    /// Where in a payload: a JSON pointer with `*` for every item of a list and every value of a map, and a variant's name in brackets. Empty
    /// for the whole payload.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What changed, as a phrase: `was required, is optional`.
    pub fn change(&self) -> &str {
        &self.change
    }

    /// What it means for reading what the old schema wrote.
    pub fn backward(&self) -> Effect {
        self.backward
    }

    /// What it means for the old schema reading what the new one writes.
    pub fn forward(&self) -> Effect {
        self.forward
    }

    /// The directions it breaks, in words; empty if it breaks none.
    fn verdict(&self) -> &'static str {
        match (self.backward, self.forward) {
            (Effect::Safe, Effect::Safe) => "",
            (Effect::Breaks, Effect::Breaks) => "breaks both directions",
            (Effect::Breaks, Effect::Safe) => "breaks backward",
            (Effect::Safe, Effect::Breaks) => "breaks forward",
            (Effect::Undeclared, Effect::Safe) => "breaks backward where writers add undeclared members",
            (Effect::Safe, Effect::Undeclared) => "breaks forward where writers add undeclared members",
            (Effect::Undeclared, Effect::Undeclared) => "breaks both directions where writers add undeclared members",
            (Effect::Breaks, Effect::Undeclared) => "breaks backward, and forward where writers add undeclared members",
            (Effect::Undeclared, Effect::Breaks) => "breaks forward, and backward where writers add undeclared members",
        }
    }
}

/// Which direction is safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "two directions have four answers")]
pub enum Compatibility {
    /// Both: producers and consumers may be deployed in any order.
    Full,
    /// The new schema reads what the old one wrote, but not the other way round: consumers first.
    Backward,
    /// The old schema reads what the new one writes, but not the other way round: producers first.
    Forward,
    /// Neither.
    None,
}

impl fmt::Display for Compatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "fully compatible",
            Self::Backward => "backward compatible, not forward compatible",
            Self::Forward => "forward compatible, not backward compatible",
            Self::None => "not compatible",
        })
    }
}

/// All differences between two versions of a schema.
///
/// Shown, it is a line for the verdict and a line for each difference.
#[cfg_attr(feature = "json", doc = include_str!("examples/evolution.md"))]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evolution {
    differences: Vec<Difference>,
}

impl Evolution {
    /// The differences, ordered by their paths; those that break nothing are among them.
    pub fn differences(&self) -> &[Difference] {
        &self.differences
    }

    /// Whether there is no difference at all: only the order of members or the white space may be another.
    pub fn is_same(&self) -> bool {
        self.differences.is_empty()
    }

    /// Whether the new schema reads whatever the old one allowed to be written.
    pub fn is_backward(&self) -> bool {
        self.differences.iter().all(|difference| difference.backward == Effect::Safe)
    }

    /// Whether the old schema reads whatever the new one allows to be written.
    pub fn is_forward(&self) -> bool {
        self.differences.iter().all(|difference| difference.forward == Effect::Safe)
    }

    /// Both answers in one.
    pub fn compatibility(&self) -> Compatibility {
        match (self.is_backward(), self.is_forward()) {
            (true, true) => Compatibility::Full,
            (true, false) => Compatibility::Backward,
            (false, true) => Compatibility::Forward,
            (false, false) => Compatibility::None,
        }
    }

    /// The same differences for writers that write what their schema declares and nothing else, as derived types do: what is
    /// [`Undeclared`](Effect::Undeclared) becomes [`Safe`](Effect::Safe).
    ///
    /// # Examples
    /// ```
    /// # #[cfg(feature = "json")] {
    /// use eventferry::schema::evolution::compare;
    /// use eventferry::schema::{Schema, SchemaKind};
    ///
    /// let schema = |text| Schema::new(SchemaKind::Json, "Order", text);
    /// let old = schema(r#"{"type": "object", "properties": {"id": {"type": "integer"}}}"#);
    /// let new = schema(r#"{"type": "object", "properties": {"id": {"type": "integer"}, "note": {"type": "string"}}}"#);
    ///
    /// // The old schema allowed any member `note`, and a number does not become a text.
    /// let evolution = compare(&old, &new)?;
    /// assert!(!evolution.is_backward());
    /// // But no old writer knew of one.
    /// assert!(evolution.as_declared().is_backward());
    /// # }
    /// # Ok::<(), eventferry::schema::evolution::EvolutionError>(())
    /// ```
    #[must_use = "the differences are returned, not changed in place"]
    pub fn as_declared(&self) -> Self {
        let declared = |effect| match effect {
            Effect::Safe | Effect::Undeclared => Effect::Safe,
            Effect::Breaks => Effect::Breaks,
        };
        let differences = self.differences.iter().map(|difference| Difference {
            backward: declared(difference.backward),
            forward: declared(difference.forward),
            ..difference.clone()
        });
        Self {
            differences: differences.collect(),
        }
    }
}

impl fmt::Display for Evolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_same() {
            return writeln!(f, "the same");
        }
        writeln!(f, "{}:", self.compatibility())?;
        let shown = |path: &str| if path.is_empty() { "/".to_owned() } else { path.to_owned() };
        let width = |text: &str| text.chars().count();
        let paths = self.differences.iter().map(|d| width(&shown(&d.path))).max().unwrap_or(0);
        // One long phrase must not push all verdicts out of sight.
        let changes = self
            .differences
            .iter()
            .map(|d| width(&d.change))
            .filter(|w| *w <= 60)
            .max()
            .unwrap_or(0);
        for difference in &self.differences {
            let line = format!(
                "  {:paths$}  {:changes$}  {}",
                shown(&difference.path),
                difference.change,
                difference.verdict()
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}
