//! The words of a catalogue, as cells of a table in Markdown.

use serde_json::{Map, Value};

/// What values are there, in the words of JSON Schema.
pub(super) fn kind(parts: &[&Map<String, Value>], forms: usize, can_be_null: bool) -> String {
    let mut kinds: Vec<&str> = Vec::new();
    for part in parts {
        let kind = part.get("type");
        let several = kind.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        for kind in kind.and_then(Value::as_str).into_iter().chain(several) {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
    }
    if can_be_null && !kinds.contains(&"null") {
        kinds.push("null");
    }
    let mut text = match (kinds.is_empty(), forms) {
        (false, 0 | 1) => kinds.join(" or "),
        (_, 0 | 1) => "any".to_owned(),
        (_, forms) => format!("one of {forms} forms"),
    };
    if let Some(format) = parts.iter().find_map(|part| part.get("format")?.as_str()) {
        text.extend([" (", &cell(format), ")"]);
    }
    text
}

/// What values have to keep to, in words.
pub(super) fn rules(parts: &[&Map<String, Value>]) -> String {
    const WORDS: [(&str, &str); 12] = [
        ("minimum", "at least"),
        ("exclusiveMinimum", "more than"),
        ("maximum", "at most"),
        ("exclusiveMaximum", "less than"),
        ("multipleOf", "a multiple of"),
        ("minLength", "characters at least"),
        ("maxLength", "characters at most"),
        ("minItems", "items at least"),
        ("maxItems", "items at most"),
        ("minProperties", "members at least"),
        ("maxProperties", "members at most"),
        ("pattern", "matches"),
    ];
    let mut all = Vec::new();
    for part in parts {
        for (keyword, words) in WORDS {
            match part.get(keyword) {
                Some(Value::String(pattern)) => all.push(format!("{words} {}", code(pattern))),
                Some(limit) => all.push(format!("{words} {limit}")),
                None => {}
            }
        }
        if part.get("uniqueItems").is_some_and(|unique| *unique == true) {
            all.push("no item twice".to_owned());
        }
        let values = part
            .get("enum")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .chain(part.get("const"));
        let values: Vec<_> = values.map(|value| code(&value.to_string())).collect();
        if !values.is_empty() {
            all.push(format!("one of {}", values.join(", ")));
        }
        let forms = ["oneOf", "anyOf"]
            .iter()
            .filter_map(|keyword| part.get(*keyword)?.as_array())
            .flatten();
        let values: Vec<_> = forms
            .filter_map(|form| form.get("const"))
            .map(|value| code(&value.to_string()))
            .collect();
        if !values.is_empty() {
            all.push(format!("one of {}", values.join(", ")));
        }
    }
    all.dedup();
    all.join(", ")
}

pub(super) fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// A text in one line, with nothing that ends a cell or begins a tag.
pub(super) fn cell(text: &str) -> String {
    line(text).replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;")
}

pub(super) fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text as it is, between ticks; a bar would end the cell even there.
pub(super) fn code(text: &str) -> String {
    let text = line(text).replace('|', "\\|");
    if text.contains('`') {
        format!("`` {text} ``")
    } else {
        format!("`{text}`")
    }
}
