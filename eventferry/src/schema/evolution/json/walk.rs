//! Everything that differs between two schemas, in words, whether it breaks something or not.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::schema::evolution::findings::{Findings, below, changed};
use crate::schema::evolution::json::document::{Class, Node, View, class};
use crate::schema::evolution::json::facts::{Types, equal};
use crate::schema::evolution::json::label::{self, Labels};
use crate::schema::evolution::json::same::same;

/// How far down differences are described.
const DEEPEST: usize = 64;

#[derive(Debug)]
pub(super) struct Walker<'f> {
    findings: &'f mut Findings,
    seen: BTreeSet<(Vec<usize>, Vec<usize>)>,
}

impl<'f> Walker<'f> {
    pub(super) fn new(findings: &'f mut Findings) -> Self {
        Self {
            findings,
            seen: BTreeSet::new(),
        }
    }

    pub(super) fn walk(&mut self, old: &[Node<'_>], new: &[Node<'_>], path: &str) {
        let key = |nodes: &[Node<'_>]| View::of(nodes).key();
        if self.seen.len() > 10_000 || path.matches('/').count() > DEEPEST || !self.seen.insert((key(old), key(new))) {
            return;
        }
        let (a, b) = (Peeled::of(old), Peeled::of(new));
        if a.is_nullable != b.is_nullable && a.types != Types::NONE && b.types != Types::NONE {
            let word = |is: bool| Some(if is { "perhaps null" } else { "never null" }.to_owned());
            self.findings.note(
                path,
                "null",
                changed("", word(a.is_nullable), word(b.is_nullable)).trim_start().to_owned(),
            );
        }
        let kinds = |peeled: &Peeled<'_>| (peeled.types != Types::NONE).then(|| label::type_of(&peeled.view)).flatten();
        if a.types != b.types && a.values.is_none() && b.values.is_none() {
            self.findings.note(path, "type", changed("type", kinds(&a), kinds(&b)));
        }
        self.values(&a, &b, path);
        let (a, b) = (a.view, b.view);
        self.plain(&a, &b, path);
        self.members(&a, &b, path);
        self.items(&a, &b, path);
        self.variants(&a, &b, path);
    }

    fn values(&mut self, a: &Peeled<'_>, b: &Peeled<'_>, path: &str) {
        let change = match (&a.values, &b.values) {
            (None, None) => return,
            (Some(old), Some(new)) => {
                let less = |from: &[&Value], by: &[&Value]| {
                    let left = from.iter().filter(|value| !by.iter().any(|other| equal(value, other)));
                    label::shown(&left.copied().collect::<Vec<_>>())
                };
                match (less(new, old), less(old, new)) {
                    (added, gone) if added.is_empty() && gone.is_empty() => return,
                    (added, gone) if gone.is_empty() => format!("allowed values: {added} added"),
                    (added, gone) if added.is_empty() => format!("allowed values: {gone} gone"),
                    (added, gone) => format!("allowed values: {added} added, {gone} gone"),
                }
            }
            (None, Some(new)) => format!("only certain values are allowed now: {}", label::shown(new)),
            (Some(old), None) => format!("any value is allowed now, not only {}", label::shown(old)),
        };
        self.findings.note(path, "values", change);
    }

    /// Annotations, limits and rules without a place of their own.
    fn plain(&mut self, a: &View<'_>, b: &View<'_>, path: &str) {
        let keywords: BTreeSet<_> = a
            .parts
            .iter()
            .chain(&b.parts)
            .flat_map(|part| part.keywords())
            .map(|(keyword, _)| keyword)
            .collect();
        let told = ["type", "const", "enum", "required", "$schema"];
        for keyword in keywords.into_iter().filter(|keyword| !told.contains(keyword)) {
            let (old, new) = (a.get(keyword), b.get(keyword));
            let is_equal = match (old, new) {
                (Some(old), Some(new)) => equal(old, new),
                (old, new) => old.is_none() && new.is_none(),
            };
            let show = |value: Option<&Value>| value.map(ToString::to_string);
            match class(keyword) {
                _ if is_equal => {}
                Class::Plain if keyword == "dependentRequired" => drop(self.findings.note(path, keyword, format!("`{keyword}` changed"))),
                Class::Plain => drop(
                    self.findings
                        .note(path, keyword, changed(&format!("`{keyword}`"), show(old), show(new))),
                ),
                Class::Annotation if keyword == "default" => {
                    self.findings.note(path, keyword, changed("`default`", show(old), show(new)));
                }
                Class::Annotation => {
                    self.findings.note(path, keyword, format!("`{keyword}` changed"));
                }
                Class::Schema if ["not", "if", "then", "else", "contains", "propertyNames"].contains(&keyword) => {
                    let child = |view: &View<'_>| {
                        view.parts
                            .iter()
                            .find_map(|part| part.child(keyword))
                            .map(|node| node.value.clone())
                    };
                    let nodes = (
                        a.parts.iter().find_map(|part| part.child(keyword)),
                        b.parts.iter().find_map(|part| part.child(keyword)),
                    );
                    if !matches!(nodes, (Some(old), Some(new)) if same(old, new)) && child(a) != child(b) {
                        self.findings.note(path, keyword, format!("`{keyword}` changed"));
                    }
                }
                // Walked through below.
                Class::Schema | Class::Schemas | Class::SchemaMap | Class::Definitions => {}
            }
        }
    }

    fn members(&mut self, a: &View<'_>, b: &View<'_>, path: &str) {
        let (olds, news) = (a.properties(), b.properties());
        let (was, is) = (a.required(), b.required());
        let names: BTreeSet<_> = olds.keys().chain(news.keys()).chain(&was).chain(&is).copied().collect();
        for name in names {
            let inside = below(path, name);
            let (was, is) = (was.contains(name), is.contains(name));
            match (olds.get(name), news.get(name)) {
                (None, Some(_)) => {
                    let change = if is { "is new and required" } else { "is new, optional" };
                    self.findings.note(&inside, "member", change.to_owned());
                    continue;
                }
                (Some(_), None) => {
                    let change = if was { "is gone, was required" } else { "is gone, was optional" };
                    self.findings.note(&inside, "member", change.to_owned());
                    continue;
                }
                (Some(old), Some(new)) => self.walk(old, new, &inside),
                (None, None) => {}
            }
            if was != is {
                let word = |is| if is { "required" } else { "optional" };
                let rule = if olds.contains_key(name) { "required" } else { "member" };
                self.findings.note(&inside, rule, format!("was {}, is {}", word(was), word(is)));
            }
        }
        let inside = below(path, "*");
        let (old, new) = (Rest::of(a), Rest::of(b));
        if let (Rest::Of(old), Rest::Of(new)) = (old, new) {
            self.walk(&[old], &[new], &inside);
        } else if old.word() != new.word() {
            self.findings
                .note(path, "additional", format!("was {}, is {}", old.word(), new.word()));
        }
        let patterns = |view: &View<'_>| view.parts.iter().flat_map(|part| part.members("patternProperties")).count();
        let by_pattern = |view: &View<'_>, wanted: &str| {
            let mut all = view
                .parts
                .iter()
                .flat_map(|part| part.members("patternProperties"))
                .collect::<Vec<_>>()
                .into_iter();
            all.find(|(pattern, _)| *pattern == wanted).is_some()
        };
        if patterns(a) != patterns(b)
            || a.parts
                .iter()
                .flat_map(|part| part.members("patternProperties"))
                .any(|(pattern, _)| !by_pattern(b, pattern))
        {
            self.findings
                .note(path, "patternProperties", "`patternProperties` changed".to_owned());
        } else {
            for (pattern, old) in a.parts.iter().flat_map(|part| part.members("patternProperties")) {
                let mut news = b.parts.iter().flat_map(|part| part.members("patternProperties"));
                if let Some((_, new)) = news.find(|(other, _)| *other == pattern) {
                    self.walk(&[old], &[new], &inside);
                }
            }
        }
    }

    fn items(&mut self, a: &View<'_>, b: &View<'_>, path: &str) {
        let says = |(prefix, rest): &(Vec<Node<'_>>, Option<Node<'_>>)| !prefix.is_empty() || rest.is_some();
        match (
            a.parts.iter().map(|part| part.items()).find(says),
            b.parts.iter().map(|part| part.items()).find(says),
        ) {
            (None, None) => {}
            (Some((olds, old)), Some((news, new))) => {
                if olds.len() != news.len() {
                    let count = |nodes: &[Node<'_>]| Some(nodes.len().to_string());
                    self.findings
                        .note(path, "prefixItems", changed("number of positions", count(&olds), count(&news)));
                }
                for (at, (old, new)) in olds.iter().zip(&news).enumerate() {
                    self.walk(&[*old], &[*new], &below(path, &at.to_string()));
                }
                if let (Some(old), Some(new)) = (old, new) {
                    self.walk(&[old], &[new], &below(path, "*"));
                } else if old.is_some() != new.is_some() {
                    self.findings.note(path, "items", "`items` changed".to_owned());
                }
            }
            _ => drop(self.findings.note(path, "items", "`items` changed".to_owned())),
        }
    }

    fn variants(&mut self, a: &View<'_>, b: &View<'_>, path: &str) {
        if label::listed(a).is_some() || label::listed(b).is_some() {
            return;
        }
        let (olds, news) = match (label::alternatives(a), label::alternatives(b)) {
            (Some((was, olds)), Some((is, news))) => {
                if was != is {
                    self.findings.note(path, "oneOf", format!("`{was}` became `{is}`"));
                }
                (olds, news)
            }
            _ => return,
        };
        let (names, new_names) = (Labels::of(&olds), Labels::of(&news));
        let find =
            |labels: &Labels, count: usize, wanted: Option<&str>| (0..count).find(|at| wanted.is_some() && labels.name(*at) == wanted);
        for (at, old) in olds.iter().enumerate() {
            let name = names.name(at).unwrap_or("unnamed");
            match find(&new_names, news.len(), names.name(at)) {
                Some(other) => self.walk(&[*old], &[news[other]], &names.path(path, at)),
                None => drop(
                    self.findings
                        .note(path, &format!("variant {name}"), format!("variant `{name}` is gone")),
                ),
            }
        }
        for at in 0..news.len() {
            let name = new_names.name(at).unwrap_or("unnamed");
            if find(&names, olds.len(), new_names.name(at)).is_none() {
                self.findings
                    .note(path, &format!("variant {name}"), format!("variant `{name}` is new"));
            }
        }
    }
}

/// A schema without the alternative "or null".
struct Peeled<'a> {
    view: View<'a>,
    types: Types,
    values: Option<Vec<&'a Value>>,
    is_nullable: bool,
}

impl<'a> Peeled<'a> {
    fn of(nodes: &[Node<'a>]) -> Self {
        let mut view = View::of(nodes);
        let mut is_nullable = false;
        if let Some((_, branches)) = label::alternatives(&view) {
            let is_null = |node: &&Node<'_>| Types::of_view(&View::of(&[**node])) == Types::NULL;
            let others: Vec<_> = branches.iter().filter(|node| !is_null(node)).copied().collect();
            if let ([one], true) = (others.as_slice(), branches.len() > 1) {
                // What stands beside the list, without the list: only what is told to people.
                let mut peeled = View::of(&[*one]);
                peeled.parts.extend(
                    view.parts
                        .iter()
                        .filter(|part| part.get("anyOf").is_none() && part.get("oneOf").is_none()),
                );
                view = peeled;
                is_nullable = true;
            }
        }
        let mut types = Types::of_view(&view);
        is_nullable |= types != Types::ALL && types.meets(Types::NULL);
        let values = label::listed(&view).map(|values| values.into_iter().filter(|value| !value.is_null()).collect());
        types = types.without(Types::NULL);
        Self {
            view,
            types,
            values,
            is_nullable,
        }
    }
}

/// What holds for members that are not named.
#[derive(Clone, Copy)]
enum Rest<'a> {
    Open,
    Closed,
    Of(Node<'a>),
}

impl<'a> Rest<'a> {
    fn of(view: &View<'a>) -> Self {
        let own = |keyword: &'static str| view.parts.iter().find_map(|part| part.child(keyword));
        match own("additionalProperties").or_else(|| own("unevaluatedProperties")) {
            None => Self::Open,
            Some(node) if *node.value == Value::Bool(false) => Self::Closed,
            Some(node) if *node.value == Value::Bool(true) => Self::Open,
            Some(node) => Self::Of(node),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Of(_) => "open for certain members",
        }
    }
}
