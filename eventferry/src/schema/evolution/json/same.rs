//! Whether two schemas are one, apart from what they say to people.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::schema::evolution::json::document::{Class, Node, View, class};
use crate::schema::evolution::json::facts::equal;

/// Whether two schemas consist of the same rules. References are followed, so that two texts may name their parts differently.
pub(super) fn same(a: Node<'_>, b: Node<'_>) -> bool {
    is_same(a, b, &mut BTreeSet::new())
}

fn is_same(a: Node<'_>, b: Node<'_>, seen: &mut BTreeSet<(usize, usize)>) -> bool {
    // A pair met again is the same if everything else is.
    if !seen.insert((a.key(), b.key())) {
        return true;
    }
    let (a, b) = (View::of(&[a]), View::of(&[b]));
    let is_readable = |view: &View<'_>| view.foreign.iter().all(Option::is_some);
    if a.is_never || b.is_never || !is_readable(&a) || !is_readable(&b) || a.foreign != b.foreign {
        return a.is_never && b.is_never;
    }
    let (a, b) = (rules(&a), rules(&b));
    a.len() == b.len() && a.into_iter().zip(b).all(|(a, b)| same_part(a, b, seen))
}

fn is_rule(keyword: &str) -> bool {
    !matches!(class(keyword), Class::Annotation | Class::Definitions)
}

fn rules<'a>(view: &View<'a>) -> Vec<Node<'a>> {
    let has_rules = |part: &&Node<'_>| part.keywords().any(|(keyword, _)| is_rule(keyword));
    view.parts.iter().filter(has_rules).copied().collect()
}

fn same_part(a: Node<'_>, b: Node<'_>, seen: &mut BTreeSet<(usize, usize)>) -> bool {
    let count = |part: Node<'_>| part.keywords().filter(|(keyword, _)| is_rule(keyword)).count();
    count(a) == count(b)
        && a.keywords().filter(|(keyword, _)| is_rule(keyword)).all(|(keyword, mine)| {
            let Some(other) = b.get(keyword) else { return false };
            match (class(keyword), mine, other) {
                (Class::Schemas | Class::Schema, Value::Array(mine), Value::Array(other)) => {
                    mine.len() == other.len() && mine.iter().zip(other).all(|(mine, other)| is_same(a.at(mine), b.at(other), seen))
                }
                (Class::Schema, _, _) => is_same(a.at(mine), b.at(other), seen),
                (Class::SchemaMap, Value::Object(mine), Value::Object(other)) => {
                    mine.len() == other.len()
                        && mine
                            .iter()
                            .all(|(name, mine)| other.get(name).is_some_and(|other| is_same(a.at(mine), b.at(other), seen)))
                }
                _ => same_rule(keyword, mine, other),
            }
        })
}

/// Whether two rules without schemas in them are one.
fn same_rule(keyword: &str, a: &Value, b: &Value) -> bool {
    match (keyword, a, b) {
        ("required" | "enum" | "type", Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().all(|one| b.iter().any(|other| equal(one, other)))
        }
        _ => equal(a, b),
    }
}

/// A schema without what it says to people.
pub(super) fn bare(schema: &Value) -> Value {
    let Value::Object(members) = schema else { return schema.clone() };
    let rule = |(keyword, value): (&String, &Value)| {
        let value = match (class(keyword), value) {
            // A change of the language is a change of every rule.
            (Class::Annotation, _) if keyword != "$schema" && keyword != "$id" && keyword != "$anchor" => return None,
            (Class::Schemas | Class::Schema, Value::Array(items)) => Value::Array(items.iter().map(bare).collect()),
            (Class::Schema, _) => bare(value),
            (Class::SchemaMap | Class::Definitions, Value::Object(inner)) => {
                Value::Object(inner.iter().map(|(name, inner)| (name.clone(), bare(inner))).collect())
            }
            _ => value.clone(),
        };
        Some((keyword.clone(), value))
    };
    Value::Object(members.iter().filter_map(rule).collect::<Map<_, _>>())
}
