//! A JSON Schema as it is read here: a text with its dialect, places in it, and everything that holds at one place at once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// What the words of a schema mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Draft7,
    Draft2020,
    /// Not read here: only equal texts mean the same.
    Other,
}

/// A schema's text.
#[derive(Debug)]
pub(super) struct Document {
    root: Value,
    dialect: Dialect,
    /// A name given inside moves the base of the references below it; none is followed then.
    has_inner_names: bool,
}

impl Document {
    pub(super) fn new(root: Value) -> Self {
        let dialect = match root.get("$schema").and_then(Value::as_str).map(|uri| uri.trim_end_matches('#')) {
            None | Some("https://json-schema.org/draft/2020-12/schema") => Dialect::Draft2020,
            Some("http://json-schema.org/draft-07/schema" | "https://json-schema.org/draft-07/schema") => Dialect::Draft7,
            Some(_) => Dialect::Other,
        };
        let has_inner_names = match &root {
            Value::Object(members) => members.values().any(names_a_base),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => false,
        };
        Self {
            root,
            dialect,
            has_inner_names,
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    pub(super) fn root(&self) -> Node<'_> {
        Node {
            document: self,
            value: &self.root,
        }
    }

    /// The schema that a reference leads to; none if it leads out of the text.
    fn resolve(&self, reference: &str) -> Option<Node<'_>> {
        if self.has_inner_names {
            return None;
        }
        let own = self
            .root
            .get("$id")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .trim_end_matches('#');
        let fragment = reference.strip_prefix(own).unwrap_or(reference).strip_prefix('#')?;
        let value = self.root.pointer(&percent_decoded(fragment)?)?;
        Some(Node { document: self, value })
    }

    /// Whether a reference leads to another text, whose name is then all that is known of it.
    fn is_outside(&self, reference: &str) -> bool {
        !self.has_inner_names && !reference.starts_with('#')
    }
}

/// Whether a value names a base for references anywhere in it, or anchors that are not followed here.
fn names_a_base(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.get("$id").is_some_and(Value::is_string) || members.values().any(names_a_base),
        Value::Array(items) => items.iter().any(names_a_base),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

/// What stands behind a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Schema,
    Schemas,
    SchemaMap,
    /// Schemas that hold nowhere by themselves.
    Definitions,
    /// Says something to people or tools, never that a value is wrong.
    Annotation,
    Plain,
}

pub(super) fn class(keyword: &str) -> Class {
    match keyword {
        "items"
        | "additionalItems"
        | "unevaluatedItems"
        | "contains"
        | "additionalProperties"
        | "unevaluatedProperties"
        | "propertyNames"
        | "not"
        | "if"
        | "then"
        | "else" => Class::Schema,
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Class::Schemas,
        "properties" | "patternProperties" | "dependentSchemas" => Class::SchemaMap,
        "$defs" | "definitions" => Class::Definitions,
        "title" | "description" | "default" | "examples" | "deprecated" | "readOnly" | "writeOnly" | "$comment" | "$schema" | "$id"
        | "$anchor" | "$vocabulary" => Class::Annotation,
        _ if keyword.starts_with("x-") => Class::Annotation,
        _ => Class::Plain,
    }
}

/// A place in a document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) document: &'a Document,
    pub(super) value: &'a Value,
}

impl<'a> Node<'a> {
    pub(super) fn at(self, value: &'a Value) -> Self {
        Self { value, ..self }
    }

    /// The same place: the same member of the same text.
    pub(super) fn key(self) -> usize {
        std::ptr::from_ref(self.value).addr()
    }

    /// The keywords that mean something in the document's dialect, without those that lead to other schemas of the same place.
    pub(super) fn keywords(self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let members = self.value.as_object();
        let is_overridden = self.is_overridden();
        members
            .into_iter()
            .flatten()
            .map(|(keyword, value)| (keyword.as_str(), value))
            .filter(move |(keyword, _)| !is_overridden && self.knows(keyword))
            .filter(|(keyword, _)| !matches!(*keyword, "$ref" | "allOf"))
    }

    pub(super) fn get(self, keyword: &str) -> Option<&'a Value> {
        if self.is_overridden() || !self.knows(keyword) {
            return None;
        }
        self.value.get(keyword)
    }

    pub(super) fn child(self, keyword: &str) -> Option<Node<'a>> {
        self.get(keyword)
            .filter(|value| value.is_object() || value.is_boolean())
            .map(|value| self.at(value))
    }

    pub(super) fn children(self, keyword: &str) -> Vec<Node<'a>> {
        let items = self.get(keyword).and_then(Value::as_array);
        items.into_iter().flatten().map(|value| self.at(value)).collect()
    }

    pub(super) fn members(self, keyword: &str) -> impl Iterator<Item = (&'a str, Node<'a>)> {
        let members: Option<&Map<String, Value>> = self.get(keyword).and_then(Value::as_object);
        members
            .into_iter()
            .flatten()
            .map(move |(name, value)| (name.as_str(), self.at(value)))
    }

    /// Draft 7 does not look at what stands beside a reference.
    fn is_overridden(self) -> bool {
        self.document.dialect == Dialect::Draft7 && self.value.get("$ref").is_some()
    }

    /// Whether it does nothing but lead to another place of its document.
    fn is_signpost(self) -> bool {
        let reference = self.value.get("$ref").and_then(Value::as_str);
        reference.is_some_and(|reference| self.document.resolve(reference).is_some())
            && self.keywords().all(|(keyword, _)| class(keyword) == Class::Annotation)
    }

    fn knows(self, keyword: &str) -> bool {
        let newer = [
            "prefixItems",
            "dependentRequired",
            "dependentSchemas",
            "minContains",
            "maxContains",
            "unevaluatedItems",
            "unevaluatedProperties",
        ];
        self.document.dialect != Dialect::Draft7 || !newer.contains(&keyword)
    }

    /// The schemas of the list form of `items`, or of `prefixItems`, and what holds for the items behind them.
    pub(super) fn items(self) -> (Vec<Node<'a>>, Option<Node<'a>>) {
        if self.get("items").is_some_and(Value::is_array) {
            (self.children("items"), self.child("additionalItems"))
        } else {
            (self.children("prefixItems"), self.child("items"))
        }
    }
}

/// All that holds at one place at once: the schema itself, what it refers to, and its `allOf`.
#[derive(Debug, Clone, Default)]
pub(super) struct View<'a> {
    /// Schemas, each with keywords of its own.
    pub(super) parts: Vec<Node<'a>>,
    /// Nothing is valid.
    pub(super) is_never: bool,
    /// What holds besides and cannot be read here: references out of the text, by their names, and other means to refer, without one.
    pub(super) foreign: Vec<Option<&'a str>>,
}

impl<'a> View<'a> {
    pub(super) fn of(nodes: &[Node<'a>]) -> Self {
        let mut view = Self::default();
        let mut seen = BTreeSet::new();
        for node in nodes {
            view.add(*node, &mut seen);
        }
        view
    }

    fn add(&mut self, node: Node<'a>, seen: &mut BTreeSet<usize>) {
        if !seen.insert(node.key()) {
            return;
        }
        match node.value {
            Value::Bool(true) => {}
            Value::Object(members) => {
                self.parts.push(node);
                if let Some(reference) = members.get("$ref") {
                    match reference.as_str().and_then(|reference| node.document.resolve(reference)) {
                        Some(target) => self.add(target, seen),
                        None => self.foreign.push(reference.as_str().filter(|name| node.document.is_outside(name))),
                    }
                }
                for one in node.children("allOf") {
                    self.add(one, seen);
                }
                if members.contains_key("$dynamicRef") || members.contains_key("$recursiveRef") {
                    self.foreign.push(None);
                }
            }
            Value::Bool(false) => self.is_never = true,
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => self.foreign.push(None),
        }
    }

    /// What a view is known by: the places it consists of, without those that only lead to another.
    pub(super) fn key(&self) -> Vec<usize> {
        let mut key: Vec<_> = self
            .parts
            .iter()
            .filter(|part| !part.is_signpost())
            .map(|part| part.key())
            .collect();
        key.sort_unstable();
        key
    }

    pub(super) fn get(&self, keyword: &str) -> Option<&'a Value> {
        self.parts.iter().find_map(|part| part.get(keyword))
    }

    pub(super) fn has(&self, keyword: &str) -> bool {
        self.get(keyword).is_some()
    }

    pub(super) fn requires(&self, name: &str) -> bool {
        self.required().contains(name)
    }

    pub(super) fn required(&self) -> BTreeSet<&'a str> {
        let lists = self.parts.iter().filter_map(|part| part.get("required")?.as_array());
        lists.flatten().filter_map(Value::as_str).collect()
    }

    pub(super) fn properties(&self) -> BTreeMap<&'a str, Vec<Node<'a>>> {
        let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (name, node) in self.parts.iter().flat_map(|part| part.members("properties")) {
            all.entry(name).or_default().push(node);
        }
        all
    }

    /// All that holds for a member of a name. Leaves out what holds only perhaps, so it may allow more than the schema does.
    pub(super) fn member(&self, name: &str) -> Vec<Node<'a>> {
        let holds = |part: &Node<'a>| {
            if let Some((_, node)) = part.members("properties").find(|(declared, _)| *declared == name) {
                return Some(node);
            }
            // A pattern may match the name, and then the rest does not hold.
            if part.members("patternProperties").next().is_some() {
                return None;
            }
            self.rest(part)
        };
        self.parts.iter().filter_map(holds).collect()
    }

    /// What a part says of the members that it does not name.
    fn rest(&self, part: &Node<'a>) -> Option<Node<'a>> {
        part.child("additionalProperties")
            .or_else(|| part.child("unevaluatedProperties").filter(|_| self.is_flat()))
    }

    /// All that holds for members that no part names.
    pub(super) fn others(&self) -> Vec<Node<'a>> {
        self.parts.iter().filter_map(|part| self.rest(part)).collect()
    }

    /// Whether one schema alone says all there is to say, so that what it leaves unevaluated is what it does not name.
    pub(super) fn is_flat(&self) -> bool {
        let leads_on = ["$ref", "allOf", "anyOf", "oneOf", "if", "dependentSchemas", "not"];
        let alone = |part: &Node<'a>| leads_on.iter().all(|keyword| part.value.get(keyword).is_none());
        self.parts
            .iter()
            .filter(|part| part.keywords().any(|(keyword, _)| class(keyword) != Class::Annotation))
            .count()
            <= 1
            && self.parts.iter().all(alone)
    }
}
