//! The rules of a proof for numbers, texts and lists, and for whatever is not known.

use serde_json::Value;

use crate::schema::evolution::findings::below;
use crate::schema::evolution::json::document::{Node, View};
use crate::schema::evolution::json::facts::{Types, equal, format_within, order};
use crate::schema::evolution::json::judge::Case;
use crate::schema::evolution::json::prove::{Proof, Prover};
use crate::schema::evolution::json::same::same;

impl Prover {
    /// A rule that stands for itself.
    pub(super) fn limit(&mut self, view: &View<'_>, keyword: &str, rule: &Value, path: &str) -> Proof {
        if keeps(view, keyword, rule) {
            return Ok(());
        }
        let show = |value: &Value| value.to_string();
        Err(vec![self.gap(
            path,
            keyword,
            &format!("`{keyword}`"),
            view.get(keyword).map(show),
            Some(show(rule)),
        )])
    }

    pub(super) fn array<'a>(&mut self, view: &View<'a>, part: Node<'a>, (keyword, rule): (&'a str, &'a Value), path: &str) -> Proof {
        match keyword {
            "items" | "prefixItems" | "additionalItems" => {
                // The three are one rule, looked at where the first of them stands.
                let first = ["items", "prefixItems", "additionalItems"]
                    .into_iter()
                    .find(|keyword| part.get(keyword).is_some());
                if first == Some(keyword) {
                    self.items(view, part.items(), path)
                } else {
                    Ok(())
                }
            }
            "unevaluatedItems" if part.child("items").is_some() => Ok(()),
            "unevaluatedItems" if View::of(&[part]).is_flat() && part.get("contains").is_none() => {
                self.items(view, (part.items().0, part.child(keyword)), path)
            }
            "contains" => self.contains(view, part, path),
            // Said by `contains`.
            "minContains" | "maxContains" => Ok(()),
            _ => self.limit(view, keyword, rule, path),
        }
    }

    fn items<'a>(&mut self, view: &View<'a>, (prefix, rest): (Vec<Node<'a>>, Option<Node<'a>>), path: &str) -> Proof {
        let own: Vec<_> = view.parts.iter().map(|part| part.items()).collect();
        let longest = own.iter().map(|(own, _)| own.len()).chain([prefix.len()]).max().unwrap_or(0);
        let most = view
            .parts
            .iter()
            .filter_map(|part| part.get("maxItems")?.as_u64())
            .min()
            .unwrap_or(u64::MAX);
        let mut gaps = Vec::new();
        for at in (0..longest).filter(|at| (*at as u64) < most) {
            let Some(target) = prefix.get(at).copied().or(rest) else { continue };
            let holds = own.iter().filter_map(|(own, rest)| own.get(at).copied().or(*rest)).collect();
            gaps.extend(
                self.within(&Case::of(holds), target, &below(path, &at.to_string()))
                    .err()
                    .into_iter()
                    .flatten(),
            );
        }
        if let Some(target) = rest.filter(|_| (longest as u64) < most) {
            let holds = own.iter().filter_map(|(_, rest)| *rest).collect();
            gaps.extend(self.within(&Case::of(holds), target, &below(path, "*")).err().into_iter().flatten());
        }
        if gaps.is_empty() { Ok(()) } else { Err(gaps) }
    }

    fn contains<'a>(&mut self, view: &View<'a>, part: Node<'a>, path: &str) -> Proof {
        let Some(wanted) = part.child("contains") else { return Ok(()) };
        let (least, most) = counts(part);
        let is_kept = |own: &Node<'a>| {
            let (own_least, own_most) = counts(*own);
            let is_less = most.is_none_or(|most| own_most.is_some_and(|own| own <= most));
            own.child("contains").is_some_and(|own| same(own, wanted)) && own_least >= least && is_less
        };
        if (least == 0 && most.is_none()) || view.parts.iter().any(is_kept) {
            return Ok(());
        }
        Err(vec![self.gap(path, "contains", "`contains`", None, None)])
    }
}

fn counts(part: Node<'_>) -> (u64, Option<u64>) {
    let number = |keyword: &str| part.get(keyword).and_then(Value::as_u64);
    (number("minContains").unwrap_or(1), number("maxContains"))
}

/// Whether what one side says of itself keeps a rule of the other.
fn keeps(view: &View<'_>, keyword: &str, rule: &Value) -> bool {
    let all = |keyword: &'static str| view.parts.iter().filter_map(move |part| part.get(keyword));
    let above = |own: &Value| order(own, rule).is_some_and(std::cmp::Ordering::is_gt);
    let below = |own: &Value| order(own, rule).is_some_and(std::cmp::Ordering::is_lt);
    let at_least = |own: &Value| order(own, rule).is_some_and(std::cmp::Ordering::is_ge);
    let at_most = |own: &Value| order(own, rule).is_some_and(std::cmp::Ordering::is_le);
    match keyword {
        "minimum" => all("minimum").chain(all("exclusiveMinimum")).any(at_least),
        "maximum" => all("maximum").chain(all("exclusiveMaximum")).any(at_most),
        "exclusiveMinimum" => all("exclusiveMinimum").any(at_least) || all("minimum").any(above),
        "exclusiveMaximum" => all("exclusiveMaximum").any(at_most) || all("maximum").any(below),
        "minLength" => rule.as_u64() == Some(0) || all("minLength").any(at_least),
        "maxLength" => all("maxLength").any(at_most),
        "minItems" => rule.as_u64() == Some(0) || all("minItems").any(at_least),
        "maxItems" => all("maxItems").any(at_most),
        "uniqueItems" => {
            *rule == Value::Bool(false)
                || all("uniqueItems").any(|own| *own == Value::Bool(true))
                || all("maxItems").any(|own| own.as_u64() <= Some(1))
        }
        "multipleOf" => {
            let is_multiple = |own: &Value| match (own.as_u64(), rule.as_u64()) {
                (Some(own), Some(rule)) => rule != 0 && own % rule == 0,
                _ => equal(own, rule),
            };
            let is_whole =
                rule.as_u64() == Some(1) && !Types::of_view(view).and(Types::NUMBER).meets(Types::NUMBER.without(Types::INTEGER));
            is_whole || all("multipleOf").any(is_multiple)
        }
        "format" => all("format").any(|own| match (own.as_str(), rule.as_str()) {
            (Some(own), Some(rule)) => format_within(own, rule),
            _ => false,
        }),
        // Not known: the same words mean the same, unless they lead elsewhere.
        _ => view
            .parts
            .iter()
            .filter_map(|part| part.get(keyword))
            .any(|own| equal(own, rule) && !refers(own)),
    }
}

fn refers(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.contains_key("$ref") || members.values().any(refers),
        Value::Array(items) => items.iter().any(refers),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
