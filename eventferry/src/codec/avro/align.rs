//! What apache-avro's resolution leaves out of Avro's rules, put into the schemas before it begins.
//!
//! By the specification a reader's field is found by its aliases as well, and a decimal is read as one of the same precision and scale only.
//! The library finds fields by name alone, reads decimals of another scale as other numbers, and refuses one whose bytes could not hold every
//! number of its precision.

use serde_json::Value as Json;

use crate::codec::CodecError;

/// Gives the writer's fields the names by which the reader knows them, and takes decimals that both have alike for the bytes they are.
///
/// # Errors
/// If a decimal of the writer's is one of another precision or scale to the reader: its numbers would become others.
pub(super) fn align(writer: &mut Json, reader: &mut Json) -> Result<(), CodecError> {
    match (writer, reader) {
        (Json::Array(wrote), Json::Array(reads)) => {
            for one in wrote {
                if let Some(other) = reads.iter_mut().find(|other| kind(other) == kind(one)) {
                    align(one, other)?;
                }
            }
            Ok(())
        }
        (Json::Array(wrote), one) => {
            let other = wrote.iter_mut().find(|other| kind(other) == kind(one));
            other.map_or(Ok(()), |other| align(other, one))
        }
        (one, Json::Array(reads)) => {
            let other = reads.iter_mut().find(|other| kind(other) == kind(one));
            other.map_or(Ok(()), |other| align(one, other))
        }
        (writer, reader) => align_types(writer, reader),
    }
}

fn align_types(writer: &mut Json, reader: &mut Json) -> Result<(), CodecError> {
    // A type may stand within an object of its own: `{"type": {"type": "array", ..}}`.
    if writer["type"].is_object() || writer["type"].is_array() {
        return align(&mut writer["type"], reader);
    }
    if reader["type"].is_object() || reader["type"].is_array() {
        return align(writer, &mut reader["type"]);
    }
    match (writer["type"].as_str(), reader["type"].as_str()) {
        (Some("record" | "error"), Some("record" | "error")) => align_records(writer, reader),
        (Some("array"), Some("array")) => align(&mut writer["items"], &mut reader["items"]),
        (Some("map"), Some("map")) => align(&mut writer["values"], &mut reader["values"]),
        (Some("bytes" | "fixed"), Some("bytes" | "fixed")) if is_decimal(writer) && is_decimal(reader) => {
            let scale = |schema: &Json| schema["scale"].as_u64().unwrap_or(0);
            if writer["precision"] != reader["precision"] || scale(writer) != scale(reader) {
                return Err(CodecError::schema(
                    "a decimal of its writer's has another precision or scale than the event's own",
                ));
            }
            for schema in [writer, reader] {
                if let Some(members) = schema.as_object_mut() {
                    members.remove("logicalType");
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn align_records(writer: &mut Json, reader: &mut Json) -> Result<(), CodecError> {
    let (Some(wrote), Some(reads)) = (writer["fields"].as_array_mut(), reader["fields"].as_array_mut()) else {
        return Ok(());
    };
    let place = |wrote: &[Json], name: &str| wrote.iter().position(|field| field["name"] == name);
    for field in reads {
        let Some(name) = field["name"].as_str().map(str::to_owned) else {
            continue;
        };
        let aliases = field["aliases"].as_array().into_iter().flatten().filter_map(Json::as_str);
        let found = place(wrote, &name).or_else(|| aliases.into_iter().find_map(|alias| place(wrote, alias)));
        if let Some(written) = found.and_then(|at| wrote.get_mut(at)) {
            written["name"] = Json::String(name);
            align(&mut written["type"], &mut field["type"])?;
        }
    }
    Ok(())
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
