//! JSON Schema 2020-12 as draft 7, the draft that AsyncAPI and its tools know.

use serde_json::{Map, Value, json};

/// Keywords whose value is a schema.
const ONE: [&str; 9] = [
    "items",
    "additionalItems",
    "additionalProperties",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "propertyNames",
];
/// Keywords whose value is a list of schemas.
const SEVERAL: [&str; 3] = ["allOf", "anyOf", "oneOf"];
/// Keywords whose value has schemas by name.
const NAMED: [&str; 2] = ["properties", "patternProperties"];
/// Keywords that draft 7 has no word for, and that only make a schema stricter.
const UNKNOWN: [&str; 6] = [
    "$schema",
    "$defs",
    "minContains",
    "maxContains",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// A schema and those it is made of, by name: its parts under `$defs` become schemas beside it, and what refers to them refers there.
pub(super) struct Draft07<'a> {
    /// The name of the schema itself.
    pub(super) name: &'a str,
    /// Where the schemas stand, as a reference without the name.
    pub(super) place: &'a str,
}

impl Draft07<'_> {
    /// The schema first, then its parts.
    pub(super) fn convert(&self, schema: &Value) -> Vec<(String, Value)> {
        let mut all = vec![(self.name.to_owned(), self.schema(schema))];
        for (part, schema) in schema.get("$defs").and_then(Value::as_object).into_iter().flatten() {
            all.push((self.part(part), self.schema(schema)));
        }
        all
    }

    fn part(&self, name: &str) -> String {
        format!("{}.{}", self.name, plain(name))
    }

    fn reference(&self, reference: &str) -> String {
        let place = self.place;
        match reference
            .strip_prefix("#/$defs/")
            .map(|part| part.split_once('/').unwrap_or((part, "")))
        {
            Some((part, "")) => format!("{place}{}", self.part(&part.replace("~1", "/").replace("~0", "~"))),
            Some((part, rest)) => format!("{place}{}/{rest}", self.part(part)),
            None => match reference.strip_prefix('#') {
                Some(rest) => format!("{place}{}{rest}", self.name),
                None => reference.to_owned(),
            },
        }
    }

    fn schema(&self, schema: &Value) -> Value {
        let Value::Object(members) = schema else { return schema.clone() };
        let mut out = Map::new();
        for (keyword, value) in members {
            let keyword = keyword.as_str();
            if UNKNOWN.contains(&keyword) {
                continue;
            }
            let value = if ONE.contains(&keyword) {
                self.schema(value)
            } else {
                match value {
                    Value::String(target) if keyword == "$ref" => Value::String(self.reference(target)),
                    Value::Array(several) if SEVERAL.contains(&keyword) => several.iter().map(|one| self.schema(one)).collect(),
                    Value::Object(named) if NAMED.contains(&keyword) => self.named(named),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                        value.clone()
                    }
                }
            };
            out.insert(keyword.to_owned(), value);
        }
        self.places(&mut out);
        self.dependent(members, &mut out);
        self.closed(members, &mut out);
        // What stands beside a reference does not count in draft 7.
        if out.len() > 1
            && let Some(target) = out.remove("$ref")
        {
            let first = json!({ "$ref": target });
            match out.get_mut("allOf") {
                Some(Value::Array(all)) => all.insert(0, first),
                _ => drop(out.insert("allOf".to_owned(), json!([first]))),
            }
        }
        Value::Object(out)
    }

    fn named(&self, named: &Map<String, Value>) -> Value {
        named
            .iter()
            .map(|(name, schema)| (name.clone(), self.schema(schema)))
            .collect::<Map<_, _>>()
            .into()
    }

    /// Items that have a schema each.
    fn places(&self, out: &mut Map<String, Value>) {
        let Some(Value::Array(places)) = out.remove("prefixItems") else {
            return;
        };
        if let Some(rest) = out.remove("items") {
            out.insert("additionalItems".to_owned(), rest);
        }
        out.insert("items".to_owned(), places.iter().map(|place| self.schema(place)).collect());
    }

    /// Members that ask for others.
    fn dependent(&self, members: &Map<String, Value>, out: &mut Map<String, Value>) {
        let mut all = Map::new();
        if let Some(Value::Object(names)) = out.remove("dependentRequired") {
            all.extend(names);
        }
        if let Some(Value::Object(schemas)) = members.get("dependentSchemas") {
            out.remove("dependentSchemas");
            for (name, schema) in schemas {
                all.insert(name.clone(), self.schema(schema));
            }
        }
        if !all.is_empty() {
            out.insert("dependencies".to_owned(), Value::Object(all));
        }
    }

    /// A schema that allows no other members, and is not made of others, allows no additional ones.
    fn closed(&self, members: &Map<String, Value>, out: &mut Map<String, Value>) {
        let is_made_of_others = ["$ref", "allOf", "anyOf", "oneOf", "if"]
            .iter()
            .any(|keyword| members.contains_key(*keyword));
        if let Some(rest) = members.get("unevaluatedProperties")
            && !is_made_of_others
            && !members.contains_key("additionalProperties")
        {
            out.insert("additionalProperties".to_owned(), self.schema(rest));
        }
    }
}

/// A name that may stand among an AsyncAPI document's components.
pub(super) fn plain(name: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
    name.chars().map(|letter| if plain(letter) { letter } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(schema: &Value) -> Vec<(String, Value)> {
        Draft07 {
            name: "A.v1",
            place: "#/s/",
        }
        .convert(schema)
    }

    #[test]
    fn parts_stand_beside_their_schema_and_are_referred_to_there() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$defs": { "Line<u8>": { "properties": { "up": { "$ref": "#" }, "$ref": { "type": "string" } } } },
            "properties": { "a": { "$ref": "#/$defs/Line<u8>", "description": "d", "minimum": 1 }, "b": { "items": { "$ref": "#/$defs/Line<u8>" } } },
        });
        let expected = vec![
            (
                "A.v1".to_owned(),
                json!({ "properties": {
                    "a": { "allOf": [{ "$ref": "#/s/A.v1.Line_u8_" }], "description": "d", "minimum": 1 },
                    "b": { "items": { "$ref": "#/s/A.v1.Line_u8_" } },
                } }),
            ),
            (
                "A.v1.Line_u8_".to_owned(),
                json!({ "properties": { "up": { "$ref": "#/s/A.v1" }, "$ref": { "type": "string" } } }),
            ),
        ];
        assert_eq!(converted(&schema), expected, "a member that is called `$ref` is no reference");
    }

    #[test]
    fn newer_keywords_become_older_ones() {
        for (newer, older) in [
            (
                json!({ "prefixItems": [{ "$ref": "#" }], "items": false }),
                json!({ "items": [{ "$ref": "#/s/A.v1" }], "additionalItems": false }),
            ),
            (json!({ "prefixItems": [true] }), json!({ "items": [true] })),
            (
                json!({ "dependentRequired": { "a": ["b"] }, "dependentSchemas": { "c": { "$ref": "#" } } }),
                json!({ "dependencies": { "a": ["b"], "c": { "$ref": "#/s/A.v1" } } }),
            ),
            (
                json!({ "unevaluatedProperties": false, "properties": {} }),
                json!({ "additionalProperties": false, "properties": {} }),
            ),
            (
                json!({ "unevaluatedProperties": false, "oneOf": [true] }),
                json!({ "oneOf": [true] }),
            ),
            (
                json!({ "contains": { "const": 1 }, "minContains": 2 }),
                json!({ "contains": { "const": 1 } }),
            ),
            (json!(true), json!(true)),
        ] {
            assert_eq!(converted(&newer), [("A.v1".to_owned(), older)], "{newer}");
        }
    }
}
