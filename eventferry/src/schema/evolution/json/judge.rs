//! Whether a schema accepts one value, and whether two schemas share none: answers that may be "not known".

use std::cmp::Ordering;

use serde_json::Value;

use crate::schema::evolution::json::document::{Class, Node, View, class};
use crate::schema::evolution::json::facts::{Types, equal, order, values_of};

/// How far schemas are followed at one place; a schema that leads back to itself has no end.
const DEEPEST: usize = 24;
const EMPTY_DEEPEST: usize = 8;
/// How many places are looked at for one question; a larger one has no answer.
const EMPTY_STEPS: usize = 500;

/// Whether all of these schemas accept a value; none where that is not known.
pub(super) fn accepts(nodes: &[Node<'_>], value: &Value) -> Option<bool> {
    accepts_at(nodes, value, DEEPEST)
}

fn accepts_at(nodes: &[Node<'_>], value: &Value, depth: usize) -> Option<bool> {
    let depth = depth.checked_sub(1)?;
    let view = View::of(nodes);
    if view.is_never {
        return Some(false);
    }
    let mut known = view.foreign.is_empty().then_some(true);
    for part in &view.parts {
        for (keyword, rule) in part.keywords() {
            match keeps(*part, keyword, rule, value, depth) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => known = None,
            }
        }
    }
    known
}

/// Whether a value keeps one rule.
fn keeps(part: Node<'_>, keyword: &str, rule: &Value, value: &Value, depth: usize) -> Option<bool> {
    let at_least = |wanted: &Value| order(value, wanted).map(Ordering::is_ge);
    let at_most = |wanted: &Value| order(value, wanted).map(Ordering::is_le);
    let number = value.is_number();
    let length = value.as_str().map(|text| text.chars().count() as u64);
    match keyword {
        "type" => Some(Types::of_part(part).meets(Types::of_value(value))),
        "const" => Some(equal(rule, value)),
        "enum" => Some(rule.as_array()?.iter().any(|one| equal(one, value))),
        "minimum" if number => at_least(rule),
        "maximum" if number => at_most(rule),
        "exclusiveMinimum" if number => order(value, rule).map(Ordering::is_gt),
        "exclusiveMaximum" if number => order(value, rule).map(Ordering::is_lt),
        "minLength" if length.is_some() => Some(length? >= rule.as_u64()?),
        "maxLength" if length.is_some() => Some(length? <= rule.as_u64()?),
        "anyOf" | "oneOf" => {
            let answers: Vec<_> = part.children(keyword).iter().map(|one| accepts_at(&[*one], value, depth)).collect();
            let (yes, unknown) = (answers.iter().filter(|a| **a == Some(true)).count(), answers.contains(&None));
            match (keyword, yes, unknown) {
                (_, 0, false) | ("oneOf", 2.., _) => Some(false),
                ("anyOf", 1.., _) | (_, 1, false) => Some(true),
                _ => None,
            }
        }
        "not" => accepts_at(&[part.child("not")?], value, depth).map(|is| !is),
        "required" if value.is_object() => Some(
            rule.as_array()?
                .iter()
                .filter_map(Value::as_str)
                .all(|name| value.get(name).is_some()),
        ),
        "properties" if value.is_object() => {
            let mut known = Some(true);
            for (name, node) in part.members("properties") {
                match value.get(name).map_or(Some(true), |inner| accepts_at(&[node], inner, depth)) {
                    Some(true) => {}
                    Some(false) => return Some(false),
                    None => known = None,
                }
            }
            known
        }
        // Rules for another kind of value hold for this one.
        _ if class(keyword) == Class::Annotation || class(keyword) == Class::Definitions => Some(true),
        _ if applies_to(keyword).is_some_and(|types| !types.meets(Types::of_value(value))) => Some(true),
        _ => None,
    }
}

/// The kinds of values that a keyword says something of; none for a keyword that is not known.
pub(super) fn applies_to(keyword: &str) -> Option<Types> {
    Some(match keyword {
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => Types::NUMBER,
        "minLength" | "maxLength" | "pattern" => Types::STRING,
        "items" | "prefixItems" | "additionalItems" | "unevaluatedItems" | "minItems" | "maxItems" | "uniqueItems" | "contains"
        | "minContains" | "maxContains" => Types::ARRAY,
        "properties"
        | "patternProperties"
        | "additionalProperties"
        | "unevaluatedProperties"
        | "required"
        | "minProperties"
        | "maxProperties"
        | "propertyNames"
        | "dependentRequired"
        | "dependentSchemas" => Types::OBJECT,
        _ => return None,
    })
}

/// Schemas that all hold at one place, with the lists of alternatives of which one was chosen already.
#[derive(Debug, Clone)]
pub(super) struct Case<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    chosen: Vec<usize>,
    /// The kinds of values it is about.
    pub(super) among: Types,
}

impl<'a> Case<'a> {
    pub(super) fn of(nodes: Vec<Node<'a>>) -> Self {
        Self {
            nodes,
            chosen: Vec::new(),
            among: Types::ALL,
        }
    }

    /// The same values as far as another schema allows them too.
    pub(super) fn and(&self, node: Node<'a>) -> Self {
        let mut case = self.clone();
        case.nodes.push(node);
        case
    }

    pub(super) fn types(&self, view: &View<'a>) -> Types {
        Types::of_view(view).and(self.among)
    }

    /// A case for each branch of the first list of alternatives that is still open; none if no list is.
    pub(super) fn branches(&self, view: &View<'a>) -> Vec<Self> {
        let open = view.parts.iter().find_map(|part| {
            let lists = ["anyOf", "oneOf"]
                .into_iter()
                .filter_map(|keyword| Some((keyword, part.get(keyword)?)));
            let mut open = lists.filter(|(_, list)| list.is_array() && !self.chosen.contains(&part.at(list).key()));
            open.next().map(|(keyword, list)| (part.at(list).key(), part.children(keyword)))
        });
        let Some((key, branches)) = open else { return Vec::new() };
        let choose = |branch| {
            let mut case = self.and(branch);
            case.chosen.push(key);
            case
        };
        branches.into_iter().map(choose).collect()
    }
}

/// Whether it is shown that there is no such value.
pub(super) fn is_empty(case: &Case<'_>) -> bool {
    empty_at(case, EMPTY_DEEPEST, &mut { EMPTY_STEPS })
}

fn empty_at(case: &Case<'_>, depth: usize, steps: &mut usize) -> bool {
    let (Some(depth), Some(rest)) = (depth.checked_sub(1), steps.checked_sub(1)) else {
        return false;
    };
    *steps = rest;
    let view = View::of(&case.nodes);
    let types = case.types(&view);
    if view.is_never || types == Types::NONE {
        return true;
    }
    if let Some(values) = values_of(&view) {
        let mut left = values.into_iter().filter(|value| types.meets(Types::of_value(value)));
        return left.all(|value| accepts(&case.nodes, value) == Some(false));
    }
    let mut impossible = |name: &str| empty_at(&Case::of(view.member(name)), depth, steps);
    if types == Types::OBJECT && view.required().into_iter().any(&mut impossible) {
        return true;
    }
    let branches = case.branches(&view);
    !branches.is_empty() && branches.iter().all(|branch| empty_at(branch, depth, steps))
}
