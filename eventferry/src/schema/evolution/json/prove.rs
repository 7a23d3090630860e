//! Whether whatever one schema allows is allowed by another: a proof, or the places where it fails.
//!
//! A schema is what all its rules allow together, so it contains another if each of its rules does. Where alternatives stand on the left, each is
//! proven by itself. A pair that is met again below itself is taken to hold: values are finite, so the proof is an induction over them. Whatever
//! is not understood, and whatever grows too large, is not proven.

use serde_json::Value;

use crate::schema::evolution::findings::{Direction, changed};
use crate::schema::evolution::json::document::{Class, Node, View, class};
use crate::schema::evolution::json::facts::{Types, values_of};
use crate::schema::evolution::json::judge::{Case, accepts, applies_to, is_empty};
use crate::schema::evolution::json::label;
use crate::schema::evolution::json::same::same;

/// How many schemas may lie above each other in a proof.
const DEEPEST: usize = 80;
/// How many pairs a proof may look at.
const STEPS: usize = 20_000;

/// Which writers a proof is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writers {
    /// Whoever keeps to the schema.
    Any,
    /// Those that add no members of their own.
    Declared,
}

/// A place where a proof fails.
#[derive(Debug, Clone)]
pub(super) struct Gap {
    pub(super) path: String,
    pub(super) rule: String,
    pub(super) change: String,
}

pub(super) type Proof = Result<(), Vec<Gap>>;

#[derive(Debug)]
pub(super) struct Prover {
    pub(super) writers: Writers,
    direction: Direction,
    steps: usize,
    /// The pairs that are being proven, and how deep in a value.
    open: Vec<(Vec<usize>, Types, Vec<usize>, usize)>,
}

impl Prover {
    pub(super) fn new(writers: Writers, direction: Direction) -> Self {
        Self {
            writers,
            direction,
            steps: STEPS,
            open: Vec::new(),
        }
    }

    /// Whether whatever the case allows, `right` allows.
    pub(super) fn within(&mut self, left: &Case<'_>, right: Node<'_>, path: &str) -> Proof {
        let view = View::of(&left.nodes);
        let pair = (view.key(), left.among, View::of(&[right]).key());
        // A pair that is met again at the same place of a value would prove itself.
        let depth = path.matches('/').count();
        let is_open = |(parts, among, key, above): &(Vec<usize>, Types, Vec<usize>, usize)| {
            *parts == pair.0 && *among == pair.1 && *key == pair.2 && *above < depth
        };
        if self.open.iter().any(is_open) {
            return Ok(());
        }
        if self.steps == 0 || self.open.len() >= DEEPEST {
            return Err(vec![Gap {
                path: path.to_owned(),
                rule: "size".to_owned(),
                change: "is too large or too deep to be compared".to_owned(),
            }]);
        }
        self.steps -= 1;
        self.open.push((pair.0, pair.1, pair.2, depth));
        let proof = self.prove(left, &view, right, path);
        self.open.pop();
        proof
    }

    fn prove<'a>(&mut self, left: &Case<'a>, view: &View<'a>, right: Node<'a>, path: &str) -> Proof {
        if is_empty(left) {
            return Ok(());
        }
        let types = left.types(view);
        let target = View::of(&[right]);
        if let Some(values) = values_of(view) {
            let wanted = |value: &&Value| types.meets(Types::of_value(value)) && accepts(&left.nodes, value) != Some(false);
            if values
                .into_iter()
                .filter(wanted)
                .all(|value| accepts(&[right], value) == Some(true))
            {
                return Ok(());
            }
        }
        let whole = match self.rules(left, view, &target, path) {
            Ok(()) => return Ok(()),
            Err(gaps) => gaps,
        };
        // As a whole it fails; each alternative, or each kind of value, by itself may not.
        let branches = left.branches(view);
        if !branches.is_empty() {
            let mut gaps = Vec::new();
            for branch in branches {
                if let Err(found) = self.within(&branch, right, path) {
                    gaps.extend(found);
                }
            }
            return if gaps.is_empty() { Ok(()) } else { Err(gaps) };
        }
        let kinds: Vec<_> = types.each().collect();
        let has_alternatives = target
            .parts
            .iter()
            .any(|part| part.get("anyOf").is_some() || part.get("oneOf").is_some());
        if has_alternatives && kinds.len() > 1 {
            let mut gaps = Vec::new();
            for kind in kinds {
                let mut one = left.clone();
                one.among = kind;
                if let Err(found) = self.within(&one, right, path) {
                    gaps.extend(found);
                }
            }
            return if gaps.is_empty() { Ok(()) } else { Err(gaps) };
        }
        Err(whole)
    }

    /// Every rule of the right side.
    fn rules<'a>(&mut self, left: &Case<'a>, view: &View<'a>, target: &View<'a>, path: &str) -> Proof {
        let types = left.types(view);
        let mut gaps = Vec::new();
        if target.is_never {
            gaps.push(self.gap(path, "type", "anything", None, None));
        }
        let is_known = |reference: Option<&str>| reference.is_some() && view.foreign.contains(&reference);
        if !target.foreign.iter().copied().all(is_known) {
            gaps.push(self.gap(path, "$ref", "a reference that cannot be followed", None, None));
        }
        for part in &target.parts {
            for (keyword, rule) in part.keywords() {
                if matches!(class(keyword), Class::Annotation | Class::Definitions)
                    || applies_to(keyword).is_some_and(|to| !to.meets(types))
                {
                    continue;
                }
                if let Err(found) = self.rule(left, view, target, *part, (keyword, rule), path) {
                    gaps.extend(found);
                }
            }
        }
        if gaps.is_empty() { Ok(()) } else { Err(gaps) }
    }

    fn rule<'a>(
        &mut self,
        left: &Case<'a>,
        view: &View<'a>,
        target: &View<'a>,
        part: Node<'a>,
        (keyword, rule): (&'a str, &'a Value),
        path: &str,
    ) -> Proof {
        let types = left.types(view);
        match keyword {
            "type" => {
                let more = types.without(Types::of_part(part));
                if more == Types::NONE {
                    return Ok(());
                }
                let gap = if more == Types::NULL {
                    self.null_gap(path)
                } else {
                    self.gap(path, "type", "type", label::type_of(view), label::type_of(target))
                };
                Err(vec![gap])
            }
            "const" | "enum" => Err(vec![self.values_gap(path, view, target)]),
            "anyOf" | "oneOf" => self.alternatives(left, view, part, keyword, path),
            "not" => match part.child("not") {
                Some(not) if is_empty(&left.and(not)) || self.denied(view, not) => Ok(()),
                _ => Err(vec![self.gap(path, "not", "`not`", None, None)]),
            },
            "if" => self.conditional(left, view, part, path),
            // Said by `if`; without one they say nothing.
            "then" | "else" => Ok(()),
            "properties"
            | "patternProperties"
            | "additionalProperties"
            | "unevaluatedProperties"
            | "required"
            | "minProperties"
            | "maxProperties"
            | "propertyNames"
            | "dependentRequired"
            | "dependentSchemas" => self.object(left, view, part, (keyword, rule), path),
            "items" | "prefixItems" | "additionalItems" | "unevaluatedItems" | "minItems" | "maxItems" | "uniqueItems" | "contains"
            | "minContains" | "maxContains" => self.array(view, part, (keyword, rule), path),
            _ => self.limit(view, keyword, rule, path),
        }
    }

    /// Whether the left side denies at least what the right side denies.
    fn denied<'a>(&self, view: &View<'a>, not: Node<'a>) -> bool {
        let mut denials = view.parts.iter().filter_map(|part| part.child("not"));
        // What is denied is nobody's writing, so it is never a matter of who writes.
        denials.any(|denied| {
            Self::new(Writers::Any, self.direction)
                .within(&Case::of(vec![not]), denied, "")
                .is_ok()
        })
    }

    fn conditional<'a>(&mut self, left: &Case<'a>, view: &View<'a>, part: Node<'a>, path: &str) -> Proof {
        let Some(condition) = part.child("if") else { return Ok(()) };
        let own = view
            .parts
            .iter()
            .find(|own| own.child("if").is_some_and(|own| same(own, condition)));
        for (keyword, is_met) in [("then", true), ("else", false)] {
            let Some(target) = part.child(keyword) else { continue };
            let mut case = if is_met { left.and(condition) } else { left.clone() };
            if let Some(promised) = own.and_then(|own| own.child(keyword)) {
                case = case.and(promised);
            }
            self.within(&case, target, path)?;
        }
        Ok(())
    }

    fn alternatives<'a>(&mut self, left: &Case<'a>, view: &View<'a>, part: Node<'a>, keyword: &str, path: &str) -> Proof {
        let branches = part.children(keyword);
        let names = label::Labels::of(&branches);
        let mut best: Option<Vec<Gap>> = None;
        for (at, branch) in branches.iter().enumerate() {
            let inside = names.path(path, at);
            let gaps = match self.within(left, *branch, &inside) {
                Ok(()) if keyword == "anyOf" => return Ok(()),
                // Exactly one may hold, so that all others must be shown not to.
                Ok(()) => {
                    let mut others = branches.iter().enumerate().filter(|(other, _)| *other != at);
                    if others.all(|(_, other)| is_empty(&left.and(*other))) {
                        return Ok(());
                    }
                    vec![self.gap(path, "oneOf", "what tells the alternatives apart", None, None)]
                }
                Err(gaps) => gaps,
            };
            if names.is_about(at, view) {
                best = Some(gaps);
            }
        }
        // `oneOf` as a whole, word for word.
        if view.parts.iter().any(|own| same_list(*own, part, keyword)) {
            return Ok(());
        }
        Err(match best {
            Some(gaps) => gaps,
            None if left.types(view) == Types::NULL => vec![self.null_gap(path)],
            None if values_of(view).is_some() => vec![self.values_gap(path, view, &View::of(&[part]))],
            None => vec![self.variant_gap(path, view)],
        })
    }

    fn null_gap(&self, path: &str) -> Gap {
        let words = [Some("never null".to_owned()), Some("perhaps null".to_owned())];
        let [never, perhaps] = words;
        self.gap(path, "null", "", perhaps, never)
    }

    fn values_gap(&self, path: &str, view: &View<'_>, target: &View<'_>) -> Gap {
        self.gap(path, "values", "allowed values", label::values_in(view), label::values_in(target))
    }

    fn variant_gap(&self, path: &str, view: &View<'_>) -> Gap {
        match label::of_view(view) {
            Some(name) => self.gap(path, &format!("variant {name}"), "variant", Some(format!("`{name}`")), None),
            None => self.gap(path, "type", "type", label::type_of(view), None),
        }
    }

    /// A gap, in words of old and new: what was on the left and what is on the right, or the other way round.
    pub(super) fn gap(&self, path: &str, rule: &str, what: &str, left: Option<String>, right: Option<String>) -> Gap {
        let (old, new) = match self.direction {
            Direction::Backward => (left, right),
            Direction::Forward => (right, left),
        };
        Gap {
            path: path.to_owned(),
            rule: rule.to_owned(),
            change: changed(what, old, new).trim_start().to_owned(),
        }
    }
}

/// Whether two parts have the same list behind a keyword.
fn same_list(a: Node<'_>, b: Node<'_>, keyword: &str) -> bool {
    let (a, b) = (a.children(keyword), b.children(keyword));
    !a.is_empty() && a.len() == b.len() && a.into_iter().zip(b).all(|(a, b)| same(a, b))
}
