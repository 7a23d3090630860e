//! JSON Schema: one schema reads what another wrote if it allows everything that the other allows.
//!
//! Two passes. The proofs ([`prove`]) decide, for each direction and each kind of writer; the walk ([`walk`]) describes every difference. A
//! difference breaks a direction only where a proof has a gap, and a proof without a gap is all that "compatible" ever rests on.

mod document;
mod facts;
mod judge;
mod label;
mod limits;
mod object;
mod prove;
mod same;
mod walk;

use document::{Dialect, Document};
use judge::Case;
use prove::{Prover, Writers};
use serde_json::Value;
use walk::Walker;

use crate::schema::Schema;
use crate::schema::evolution::findings::{Direction, Findings};
use crate::schema::evolution::{Effect, EvolutionError};

pub(super) fn compare(old: &Schema, new: &Schema, findings: &mut Findings) -> Result<(), EvolutionError> {
    let (old, new) = (read("old", old)?, read("new", new)?);
    let is_same = same::bare(old.root().value) == same::bare(new.root().value);
    Walker::new(findings).walk(&[old.root()], &[new.root()], "");
    if is_same {
        return Ok(());
    }
    if old.dialect() != new.dialect() || old.dialect() == Dialect::Other {
        findings.breaks_both(
            "",
            "$schema",
            "the rules differ, in a dialect of JSON Schema that is not compared or in two of them".to_owned(),
        );
        return Ok(());
    }
    for (direction, left, right) in [
        (Direction::Backward, old.root(), new.root()),
        (Direction::Forward, new.root(), old.root()),
    ] {
        for (writers, effect) in [(Writers::Any, Effect::Undeclared), (Writers::Declared, Effect::Breaks)] {
            if let Err(gaps) = Prover::new(writers, direction).within(&Case::of(vec![left]), right, "") {
                for gap in gaps {
                    findings.breaks(direction, effect, &gap.path, &gap.rule, gap.change);
                }
            }
        }
    }
    Ok(())
}

fn read(which: &str, schema: &Schema) -> Result<Document, EvolutionError> {
    let root: Value = serde_json::from_str(&schema.text).map_err(|e| EvolutionError::invalid(which, &schema.name, e))?;
    match root {
        Value::Object(_) | Value::Bool(_) => Ok(Document::new(root)),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => Err(EvolutionError::invalid(
            which,
            &schema.name,
            "a JSON Schema is an object, true or false",
        )),
    }
}
