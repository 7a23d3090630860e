//! What schemas are called in the description of a difference.

use serde_json::Value;

use crate::schema::evolution::json::document::{Node, View};
use crate::schema::evolution::json::facts::{Types, values_of};

/// Values shown of one list.
const MOST: usize = 12;

/// The kinds of values a schema allows, in words; none if it allows all.
pub(super) fn type_of(view: &View<'_>) -> Option<String> {
    let types = Types::of_view(view);
    if types == Types::ALL {
        return None;
    }
    let names = [
        (Types::OBJECT, "object"),
        (Types::ARRAY, "array"),
        (Types::STRING, "string"),
        (Types::NUMBER, "number"),
        (Types::INTEGER, "integer"),
        (Types::BOOLEAN, "boolean"),
        (Types::NULL, "null"),
    ];
    let mut left = types;
    let mut found = Vec::new();
    for (kind, name) in names {
        if left.and(kind) == kind {
            found.push(name);
            left = left.without(kind);
        }
    }
    Some(if found.is_empty() {
        "nothing".to_owned()
    } else {
        found.join(" or ")
    })
}

/// The values that a schema leaves, where it lists them: in one list, or as alternatives of one value each.
pub(super) fn listed<'a>(view: &View<'a>) -> Option<Vec<&'a Value>> {
    if let Some(values) = values_of(view) {
        return Some(values);
    }
    let (_, branches) = alternatives(view)?;
    let lists = branches.into_iter().map(|branch| values_of(&View::of(&[branch])));
    lists.collect::<Option<Vec<_>>>().map(|lists| lists.into_iter().flatten().collect())
}

/// The listed values as text.
pub(super) fn values_in(view: &View<'_>) -> Option<String> {
    listed(view).map(|values| shown(&values))
}

pub(super) fn shown(values: &[&Value]) -> String {
    let mut texts: Vec<_> = values.iter().take(MOST).map(ToString::to_string).collect();
    if values.len() > MOST {
        texts.push("…".to_owned());
    }
    texts.join(", ")
}

/// The first list of alternatives, and the keyword it stands behind.
pub(super) fn alternatives<'a>(view: &View<'a>) -> Option<(&'static str, Vec<Node<'a>>)> {
    view.parts.iter().find_map(|part| {
        let mut lists = ["anyOf", "oneOf"].into_iter().map(|keyword| (keyword, part.children(keyword)));
        lists.find(|(_, branches)| !branches.is_empty())
    })
}

/// What an alternative is known by, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Label {
    name: String,
    /// The name is not seen in the path of what is inside.
    is_hidden: bool,
}

fn label(view: &View<'_>) -> Option<Label> {
    let called = |name: &str, is_hidden| {
        Some(Label {
            name: name.to_owned(),
            is_hidden,
        })
    };
    let (properties, required) = (view.properties(), view.required());
    for (name, nodes) in properties.iter().filter(|(name, _)| required.contains(*name)) {
        if let Some([Value::String(tag)]) = values_of(&View::of(nodes)).as_deref() {
            return called(tag, *name != tag);
        }
    }
    let (declared, wanted): (Vec<_>, Vec<_>) = (properties.keys().collect(), required.iter().collect());
    if let ([name], [only]) = (declared.as_slice(), wanted.as_slice())
        && name == only
    {
        return called(name, false);
    }
    if let Some([value]) = values_of(view).as_deref() {
        return called(&value.to_string(), false);
    }
    let reference = view.parts.iter().find_map(|part| part.value.get("$ref")?.as_str());
    if let Some(name) = reference.and_then(|reference| reference.rsplit('/').next()) {
        return called(name, true);
    }
    if let Some(title) = view.get("title").and_then(Value::as_str) {
        return called(title, true);
    }
    type_of(view).and_then(|name| called(&name, false))
}

/// What a schema is called where it is one of several.
pub(super) fn of_view(view: &View<'_>) -> Option<String> {
    label(view).map(|label| label.name)
}

/// The names of alternatives.
#[derive(Debug)]
pub(super) struct Labels {
    names: Vec<Option<Label>>,
    kinds: Vec<Types>,
    /// With one alternative besides null there is nothing to tell apart.
    is_choice: bool,
}

impl Labels {
    pub(super) fn of(branches: &[Node<'_>]) -> Self {
        let views: Vec<_> = branches.iter().map(|branch| View::of(&[*branch])).collect();
        let kinds: Vec<_> = views.iter().map(Types::of_view).collect();
        Self {
            is_choice: kinds.iter().filter(|kind| **kind != Types::NULL).count() > 1,
            names: views.iter().map(label).collect(),
            kinds,
        }
    }

    pub(super) fn name(&self, at: usize) -> Option<&str> {
        self.names[at].as_ref().map(|label| label.name.as_str())
    }

    /// The path of what an alternative holds.
    pub(super) fn path(&self, path: &str, at: usize) -> String {
        match &self.names[at] {
            Some(label) if label.is_hidden && self.is_choice => format!("{path}[{}]", label.name.replace('/', "~1")),
            _ => path.to_owned(),
        }
    }

    /// Whether an alternative is the one that a schema of the other side is most likely meant to be.
    pub(super) fn is_about(&self, at: usize, view: &View<'_>) -> bool {
        let kind = Types::of_view(view);
        match label(view) {
            Some(label) if self.names.iter().flatten().any(|one| one.name == label.name) => self.name(at) == Some(&label.name),
            _ => kind == self.kinds[at] && self.kinds.iter().filter(|one| **one == kind).count() == 1 && kind != Types::NULL,
        }
    }
}
