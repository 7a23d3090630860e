//! The rules of a proof for objects.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::schema::evolution::findings::below;
use crate::schema::evolution::json::document::{Node, View};
use crate::schema::evolution::json::facts::Types;
use crate::schema::evolution::json::judge::{Case, accepts, is_empty};
use crate::schema::evolution::json::prove::{Gap, Proof, Prover, Writers};

/// Which names the members of a value may have.
enum Names<'a> {
    Any,
    Only(BTreeSet<&'a str>),
}

impl Prover {
    pub(super) fn object<'a>(
        &mut self,
        left: &Case<'a>,
        view: &View<'a>,
        part: Node<'a>,
        (keyword, rule): (&'a str, &'a Value),
        path: &str,
    ) -> Proof {
        let mut gaps = Vec::new();
        match keyword {
            "required" => {
                let names = rule.as_array().into_iter().flatten().filter_map(Value::as_str);
                gaps.extend(
                    names
                        .filter(|name| !view.requires(name))
                        .map(|name| self.required_gap(path, name, view)),
                );
            }
            "properties" => {
                let names = self.names(view);
                for (name, node) in part.members("properties") {
                    if names.may_be(name) {
                        gaps.extend(self.member(view, name, node, path).err().into_iter().flatten());
                    }
                }
            }
            "additionalProperties" => {
                let own = View {
                    parts: vec![part],
                    ..View::default()
                };
                gaps.extend(self.rest(view, &own, part.child(keyword), path).err().into_iter().flatten());
            }
            "unevaluatedProperties" => {
                let own = View::of(&[part]);
                if own.has("additionalProperties") {
                    return Ok(());
                }
                let branches = ["anyOf", "oneOf", "if", "dependentSchemas"];
                if branches.iter().any(|keyword| own.has(keyword)) || !own.foreign.is_empty() {
                    // Which members are looked at depends on the value.
                    gaps.push(self.gap(path, keyword, "what `unevaluatedProperties` looks at", None, None));
                } else {
                    gaps.extend(self.rest(view, &own, part.child(keyword), path).err().into_iter().flatten());
                }
            }
            "patternProperties" => {
                for (pattern, node) in part.members(keyword) {
                    gaps.extend(self.pattern(view, pattern, node, path).err().into_iter().flatten());
                }
            }
            "dependentSchemas" => {
                for (name, node) in part.members(keyword) {
                    let mut case = left.clone();
                    let promised = view.parts.iter().flat_map(|own| own.members(keyword));
                    case.nodes.extend(promised.filter(|(own, _)| *own == name).map(|(_, node)| node));
                    gaps.extend(self.within(&case, node, path).err().into_iter().flatten());
                }
            }
            _ => {
                if !self.keeps_object_limit(view, part, keyword, rule) {
                    let show = |value: &Value| value.to_string();
                    gaps.push(self.gap(
                        path,
                        keyword,
                        &format!("`{keyword}`"),
                        view.get(keyword).map(show),
                        Some(show(rule)),
                    ));
                }
            }
        }
        if gaps.is_empty() { Ok(()) } else { Err(gaps) }
    }

    fn member<'a>(&mut self, view: &View<'a>, name: &str, node: Node<'a>, path: &str) -> Proof {
        let is_declared = view.properties().contains_key(name);
        match self.within(&Case::of(view.member(name)), node, &below(path, name)) {
            Err(_) if !is_declared => Err(vec![self.member_gap(path, name, false, view)]),
            proof => proof,
        }
    }

    /// What the right side says of members that `own` does not name.
    fn rest<'a>(&mut self, view: &View<'a>, own: &View<'a>, rest: Option<Node<'a>>, path: &str) -> Proof {
        let Some(rest) = rest else { return Ok(()) };
        let (named, mut gaps) = (own.properties(), Vec::new());
        let patterns: BTreeSet<_> = own
            .parts
            .iter()
            .flat_map(|part| part.members("patternProperties"))
            .map(|(pattern, _)| pattern)
            .collect();
        for name in view.properties().into_keys().filter(|name| !named.contains_key(name)) {
            match self.within(&Case::of(view.member(name)), rest, &below(path, name)) {
                Err(_) if *rest.value == Value::Bool(false) => gaps.push(self.member_gap(path, name, true, view)),
                proof => gaps.extend(proof.err().into_iter().flatten()),
            }
        }
        for (_, node) in view
            .parts
            .iter()
            .flat_map(|part| part.members("patternProperties"))
            .filter(|(own, _)| !patterns.contains(own))
        {
            gaps.extend(
                self.within(&Case::of(vec![node]), rest, &below(path, "*"))
                    .err()
                    .into_iter()
                    .flatten(),
            );
        }
        if self.may_have_others(view) {
            match self.within(&Case::of(view.others()), rest, &below(path, "*")) {
                Err(_) if *rest.value == Value::Bool(false) => {
                    gaps.push(self.gap(path, "additional", "", Some("open".to_owned()), Some("closed".to_owned())));
                }
                proof => gaps.extend(proof.err().into_iter().flatten()),
            }
        }
        if gaps.is_empty() { Ok(()) } else { Err(gaps) }
    }

    fn pattern<'a>(&mut self, view: &View<'a>, pattern: &str, node: Node<'a>, path: &str) -> Proof {
        let inside = below(path, "*");
        let all = || view.parts.iter().flat_map(|part| part.members("patternProperties"));
        let own: Vec<_> = all().filter(|(own, _)| *own == pattern).map(|(_, node)| node).collect();
        if !own.is_empty() && self.within(&Case::of(own), node, &inside).is_ok() {
            return Ok(());
        }
        // Nobody here reads patterns, so each member may have such a name.
        for name in view.properties().into_keys() {
            self.within(&Case::of(view.member(name)), node, &below(path, name))?;
        }
        for (_, own) in all() {
            self.within(&Case::of(vec![own]), node, &inside)?;
        }
        if self.may_have_others(view) {
            self.within(&Case::of(view.others()), node, &inside)?;
        }
        Ok(())
    }

    fn keeps_object_limit<'a>(&mut self, view: &View<'a>, part: Node<'a>, keyword: &str, rule: &Value) -> bool {
        let own = || view.parts.iter().filter_map(|part| part.get(keyword));
        let count = rule.as_u64();
        match keyword {
            "minProperties" => own().any(|own| own.as_u64() >= count) || count.is_some_and(|count| view.required().len() as u64 >= count),
            "maxProperties" => {
                let is_kept = |own: &Value| own.as_u64().is_some_and(|own| Some(own) <= count);
                own().any(is_kept)
                    || self
                        .all_names(view)
                        .is_some_and(|names| count.is_some_and(|count| names.len() as u64 <= count))
            }
            "propertyNames" => {
                let Some(names) = part.child(keyword) else { return true };
                let mut case = Case::of(view.parts.iter().filter_map(|part| part.child(keyword)).collect());
                case.among = Types::STRING;
                if self.within(&case, names, "").is_ok() {
                    return true;
                }
                let is_accepted = |name: &str| accepts(&[names], &Value::String(name.to_owned())) == Some(true);
                self.all_names(view).is_some_and(|all| all.into_iter().all(is_accepted))
            }
            "dependentRequired" => rule.as_object().into_iter().flatten().all(|(name, wanted)| {
                let promised = own()
                    .filter_map(|own| own.get(name)?.as_array())
                    .flatten()
                    .filter_map(Value::as_str);
                let mut certain = view.required();
                certain.extend(promised);
                wanted
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .all(|one| certain.contains(one))
            }),
            _ => false,
        }
    }

    /// The names that members may have, where all are known.
    fn all_names<'a>(&self, view: &View<'a>) -> Option<BTreeSet<&'a str>> {
        if view.parts.iter().any(|part| part.members("patternProperties").next().is_some()) || self.may_have_others(view) {
            return None;
        }
        Some(view.properties().into_keys().collect())
    }

    /// Whether members may be there that no part names.
    fn may_have_others(&self, view: &View<'_>) -> bool {
        if is_empty(&Case::of(view.others())) {
            return false;
        }
        match self.names(view) {
            Names::Any => true,
            Names::Only(names) => {
                let declared = view.properties();
                names.iter().any(|name| !declared.contains_key(name))
            }
        }
    }

    /// The names that a writer may use of itself.
    fn names<'a>(&self, view: &View<'a>) -> Names<'a> {
        let mut names = BTreeSet::new();
        let is_bound = self.writers == Writers::Declared && collect_names(view, &mut names, 8) && !names.is_empty();
        if is_bound { Names::Only(names) } else { Names::Any }
    }

    fn required_gap(&self, path: &str, name: &str, view: &View<'_>) -> Gap {
        if view.properties().contains_key(name) {
            let words = (Some("optional".to_owned()), Some("required".to_owned()));
            self.gap(&below(path, name), "required", "", words.0, words.1)
        } else {
            self.member_gap(path, name, false, view)
        }
    }

    /// A member that only one of the two names: the left one, or the right one.
    fn member_gap(&self, path: &str, name: &str, is_left: bool, view: &View<'_>) -> Gap {
        let there = Some(if is_left && view.requires(name) { "and required" } else { "" }.to_owned());
        let (left, right) = if is_left { (there, None) } else { (None, there) };
        self.gap(&below(path, name), "member", "", left, right)
    }
}

impl Names<'_> {
    fn may_be(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(names) => names.contains(name),
        }
    }
}

/// Every name that is declared anywhere for one place. False if something there invites names that are not.
fn collect_names<'a>(view: &View<'a>, into: &mut BTreeSet<&'a str>, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    if !view.foreign.is_empty() {
        return false;
    }
    view.parts.iter().all(|part| {
        let invites = |keyword: &str| part.get(keyword).is_some_and(|value| *value != Value::Bool(false));
        if invites("additionalProperties") || invites("unevaluatedProperties") || invites("patternProperties") {
            return false;
        }
        into.extend(part.members("properties").map(|(name, _)| name));
        let lists = ["anyOf", "oneOf"].into_iter().flat_map(|keyword| part.children(keyword));
        let single = ["if", "then", "else", "not"].into_iter().filter_map(|keyword| part.child(keyword));
        let dependent = part.members("dependentSchemas").map(|(_, node)| node);
        lists
            .chain(single)
            .chain(dependent)
            .all(|node| collect_names(&View::of(&[node]), into, depth))
    })
}
