//! What apache-avro's resolution leaves out of Avro's rules, put into the schemas before it begins.
//!
//! By the specification a reader's field is found by its aliases as well, and a decimal is read as one of the same precision and scale only.
//! The library finds fields by name alone, reads decimals of another scale as other numbers, and refuses one whose bytes could not hold every
//! number of its precision.

use std::collections::{HashMap, HashSet};

use serde_json::Value as Json;

use crate::codec::CodecError;

/// Gives the writer's fields the names by which the reader knows them, and takes decimals that both have alike for the bytes they are.
///
/// Both are schemas as the library writes them: a named type is defined once, and is named in full everywhere else.
///
/// # Errors
/// If a decimal of the writer's is one of another precision or scale to the reader: its numbers would become others. If the reader knows a field of
/// one type by two names.
pub(super) fn align(writer: &mut Json, reader: &mut Json) -> Result<(), CodecError> {
    let mut pairs = Pairs {
        writer: Side::of(writer),
        reader: Side::of(reader),
        seen: HashSet::new(),
        names: HashMap::new(),
        decimals: Vec::new(),
    };
    pairs.pair(String::new(), String::new())?;
    let Pairs { names, decimals, .. } = pairs;
    for (place, name) in names {
        if let Some(field) = writer.pointer_mut(&place) {
            field["name"] = Json::String(name);
        }
    }
    for (wrote, reads) in decimals {
        for schema in [writer.pointer_mut(&wrote), reader.pointer_mut(&reads)] {
            if let Some(members) = schema.and_then(Json::as_object_mut) {
                members.remove("logicalType");
            }
        }
    }
    Ok(())
}

/// A schema, and where its named types are defined: JSON pointers, by full names.
struct Side<'s> {
    root: &'s Json,
    defined: HashMap<String, String>,
}

impl<'s> Side<'s> {
    fn of(root: &'s Json) -> Self {
        let mut defined = HashMap::new();
        let mut todo = vec![(String::new(), root)];
        while let Some((place, schema)) = todo.pop() {
            match schema {
                Json::Array(branches) => todo.extend(
                    (0..)
                        .zip(branches)
                        .map(|(at, branch): (usize, _)| (format!("{place}/{at}"), branch)),
                ),
                Json::Object(members) => {
                    if let Some(name) = members.get("name").and_then(Json::as_str) {
                        let namespace = members.get("namespace").and_then(Json::as_str);
                        let full = namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}.{name}"));
                        defined.insert(full, place.clone());
                    }
                    let fields = members.get("fields").and_then(Json::as_array).into_iter().flatten();
                    todo.extend(
                        (0..)
                            .zip(fields)
                            .map(|(at, field): (usize, _)| (format!("{place}/fields/{at}/type"), &field["type"])),
                    );
                    for part in ["items", "values"] {
                        todo.extend(members.get(part).map(|schema| (format!("{place}/{part}"), schema)));
                    }
                }
                Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
            }
        }
        Self { root, defined }
    }

    /// What stands at a place, or, if that is a name, what it names and where.
    fn at(&self, place: String) -> (&'s Json, String) {
        let schema = self.root.pointer(&place).unwrap_or(&Json::Null);
        match schema.as_str().and_then(|name| self.defined.get(name)) {
            Some(definition) => (self.root.pointer(definition).unwrap_or(&Json::Null), definition.clone()),
            None => (schema, place),
        }
    }
}

/// Goes through both schemas at once.
struct Pairs<'s> {
    writer: Side<'s>,
    reader: Side<'s>,
    /// Pairs of records, by their places.
    seen: HashSet<(String, String)>,
    /// What a field of the writer's is called by the reader.
    names: HashMap<String, String>,
    decimals: Vec<(String, String)>,
}

impl Pairs<'_> {
    fn pair(&mut self, wrote: String, reads: String) -> Result<(), CodecError> {
        let ((writer, wrote), (reader, reads)) = (self.writer.at(wrote), self.reader.at(reads));
        match (writer, reader) {
            (Json::Array(branches), _) => {
                for (at, branch) in branches.iter().enumerate() {
                    let wrote = format!("{wrote}/{at}");
                    match reader.as_array() {
                        Some(others) => {
                            if let Some(other) = others.iter().position(|other| kind(other) == kind(branch)) {
                                self.pair(wrote, format!("{reads}/{other}"))?;
                            }
                        }
                        None if kind(reader) == kind(branch) => self.pair(wrote, reads.clone())?,
                        None => {}
                    }
                }
                Ok(())
            }
            (_, Json::Array(branches)) => match branches.iter().position(|other| kind(other) == kind(writer)) {
                Some(other) => self.pair(wrote, format!("{reads}/{other}")),
                None => Ok(()),
            },
            _ => self.types((writer, wrote), (reader, reads)),
        }
    }

    fn types(&mut self, (writer, wrote): (&Json, String), (reader, reads): (&Json, String)) -> Result<(), CodecError> {
        match (writer["type"].as_str(), reader["type"].as_str()) {
            (Some("record"), Some("record")) => self.records((writer, wrote), (reader, reads)),
            (Some("array"), Some("array")) => self.pair(format!("{wrote}/items"), format!("{reads}/items")),
            (Some("map"), Some("map")) => self.pair(format!("{wrote}/values"), format!("{reads}/values")),
            (Some("bytes" | "fixed"), Some("bytes" | "fixed")) if is_decimal(writer) && is_decimal(reader) => {
                let scale = |schema: &Json| schema["scale"].as_u64().unwrap_or(0);
                if writer["precision"] != reader["precision"] || scale(writer) != scale(reader) {
                    return Err(CodecError::schema(
                        "a decimal of its writer's has another precision or scale than the event's own",
                    ));
                }
                self.decimals.push((wrote, reads));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn records(&mut self, (writer, wrote): (&Json, String), (reader, reads): (&Json, String)) -> Result<(), CodecError> {
        if !self.seen.insert((wrote.clone(), reads.clone())) {
            return Ok(());
        }
        let none = Vec::new();
        let fields = |schema| -> &Vec<Json> { Json::as_array(schema).unwrap_or(&none) };
        let (written, read) = (fields(&writer["fields"]), fields(&reader["fields"]));
        let place = |name: &str| written.iter().position(|field| field["name"] == name);
        for (to, field) in read.iter().enumerate() {
            let Some(name) = field["name"].as_str() else {
                continue;
            };
            let mut aliases = field["aliases"].as_array().into_iter().flatten().filter_map(Json::as_str);
            let Some(from) = place(name).or_else(|| aliases.find_map(place)) else {
                continue;
            };
            let known = self
                .names
                .entry(format!("{wrote}/fields/{from}"))
                .or_insert_with(|| name.to_owned());
            if known != name {
                return Err(CodecError::schema(
                    "the event's own schema knows a field of its writer's by two names",
                ));
            }
            self.pair(format!("{wrote}/fields/{from}/type"), format!("{reads}/fields/{to}/type"))?;
        }
        Ok(())
    }
}

/// What tells the branches of a union apart, as far as aligning needs it: the unqualified name of a named type, else the type.
fn kind(schema: &Json) -> Option<&str> {
    let text = match schema {
        Json::String(name) => name,
        Json::Object(members) => match members.get("name") {
            Some(name) => name.as_str()?,
            None => return kind(members.get("type")?),
        },
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) => return None,
    };
    text.rsplit('.').next()
}

fn is_decimal(schema: &Json) -> bool {
    schema["logicalType"] == "decimal"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_is_found_by_an_alias_unless_its_own_name_is_there() {
        let field = |name: &str| json!({"name": name, "type": "int"});
        let mut reader = json!({"type": "record", "name": "R", "fields": [
            {"name": "new", "aliases": ["older", "old"], "type": "int"}, {"name": "there", "aliases": ["other"], "type": "int"}]});
        let mut writer = json!({"type": "record", "name": "R", "fields": [field("other"), field("old"), field("there")]});
        align(&mut writer, &mut reader).unwrap();
        assert_eq!(writer["fields"], json!([field("other"), field("new"), field("there")]));
    }

    #[test]
    fn a_field_that_the_reader_knows_by_two_names_is_refused() {
        let inner =
            |name: &str, own: &str| json!({"type": "record", "name": name, "fields": [{"name": own, "aliases": ["x"], "type": "int"}]});
        let mut writer = json!({"type": "record", "name": "R", "fields": [
            {"name": "a", "type": {"type": "record", "name": "I", "fields": [{"name": "x", "type": "int"}]}}, {"name": "b", "type": "I"}]});
        let mut reader = json!({"type": "record", "name": "R", "fields": [
            {"name": "a", "type": inner("One", "y")}, {"name": "b", "type": inner("Two", "z")}]});
        assert!(align(&mut writer, &mut reader).is_err());
    }

    #[test]
    fn only_decimals_that_are_alike_become_bytes() {
        let decimal = |precision: u8, scale: u8| json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale});
        let nested = |inner: Json| json!({"type": "array", "items": ["null", {"type": "map", "values": inner}]});
        let (mut writer, mut reader) = (nested(decimal(9, 2)), nested(decimal(9, 2)));
        align(&mut writer, &mut reader).unwrap();
        assert_eq!(writer, nested(json!({"type": "bytes", "precision": 9, "scale": 2})));
        assert_eq!(writer, reader);
        for other in [decimal(9, 3), decimal(10, 2)] {
            assert!(align(&mut nested(decimal(9, 2)), &mut nested(other)).is_err());
        }
    }
}
