//! What apache-avro's resolution leaves out of Avro's rules, put into the schemas before it begins.
//!
//! By the specification a field of the writer's that a reader's field has as an alias is called by the reader's name, and a decimal is read as one of
//! the same precision and scale only. The library finds fields by name alone, reads decimals of another scale as other numbers, and refuses
//! one whose bytes could not hold every number of its precision.

mod side;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::codec::CodecError;
use crate::codec::avro::align::side::{Place, Side};

/// Gives the writer's fields the names by which the reader knows them, and takes decimals that both have alike for the bytes they are. Answers
/// the pointers of the writer's fields that the reader has none for.
///
/// # Errors
/// If a decimal of the writer's is one of another precision or scale to the reader: its numbers would become others. If a record of the writer's
/// is read as two that know its fields by different names.
pub(super) fn align(writer: &mut Json, reader: &mut Json) -> Result<Vec<String>, CodecError> {
    let mut plan = Plan::default();
    let sides = (Side::new(writer), Side::new(reader));
    plan.types(&sides, Side::root(), Side::root(), "")?;
    let Plan { names, plain, dropped, .. } = plan;
    for (place, name) in names {
        if let Some(field) = writer.pointer_mut(&place) {
            field["name"] = Json::String(name);
        }
    }
    for (place, side) in plain {
        let schema = if side == 0 { &mut *writer } else { &mut *reader };
        if let Some(Json::Object(members)) = schema.pointer_mut(&place) {
            members.remove("logicalType");
        }
    }
    Ok(dropped)
}

/// What is to be changed, by its place in the schema.
#[derive(Default)]
struct Plan {
    /// The names of the writer's fields, changed or not.
    names: BTreeMap<String, String>,
    /// Decimals that become bytes: the writer's are 0, the reader's 1.
    plain: BTreeSet<(String, u8)>,
    /// Fields that are passed over.
    dropped: Vec<String>,
    /// What has been looked at: a record may stand within itself, or in several places.
    seen: BTreeSet<(String, String)>,
}

impl Plan {
    fn types<'a>(&mut self, sides: &(Side<'a>, Side<'a>), wrote: Place, reads: Place, pointer: &str) -> Result<(), CodecError> {
        let ((wrote, writer), (reads, reader)) = (sides.0.resolve(wrote), sides.1.resolve(reads));
        if !self.seen.insert((wrote.at.clone(), reads.at.clone())) {
            return Ok(());
        }
        match (writer, reader) {
            (Json::Array(branches), _) => {
                for branch in (0..branches.len()).map(|index| wrote.part(&index.to_string())) {
                    self.types(sides, branch, reads.clone(), pointer)?;
                }
                Ok(())
            }
            (_, Json::Array(branches)) => {
                let branches: Vec<_> = (0..branches.len()).map(|index| reads.part(&index.to_string())).collect();
                match sides.1.like(writer, &branches) {
                    Some(branch) => self.types(sides, wrote, branch, pointer),
                    None => Ok(()),
                }
            }
            _ => self.same(sides, (&wrote, writer), (&reads, reader), pointer),
        }
    }

    fn same<'a>(
        &mut self,
        sides: &(Side<'a>, Side<'a>),
        (wrote, writer): (&Place, &'a Json),
        (reads, reader): (&Place, &'a Json),
        pointer: &str,
    ) -> Result<(), CodecError> {
        match (writer["type"].as_str(), reader["type"].as_str()) {
            (Some("record" | "error"), Some("record" | "error")) => self.fields(sides, (wrote, writer), (reads, reader), pointer),
            (Some("array"), Some("array")) => self.types(sides, wrote.part("items"), reads.part("items"), &format!("{pointer}/*")),
            (Some("map"), Some("map")) => self.types(sides, wrote.part("values"), reads.part("values"), &format!("{pointer}/*")),
            (Some("bytes" | "fixed"), Some("bytes" | "fixed")) if is_decimal(writer) && is_decimal(reader) => {
                let scale = |schema: &Json| schema["scale"].as_u64().unwrap_or(0);
                if writer["precision"] != reader["precision"] || scale(writer) != scale(reader) {
                    return Err(CodecError::schema(
                        "a decimal of its writer's has another precision or scale than the event's own",
                    ));
                }
                self.plain.extend([(wrote.at.clone(), 0), (reads.at.clone(), 1)]);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn fields<'a>(
        &mut self,
        sides: &(Side<'a>, Side<'a>),
        (wrote, writer): (&Place, &'a Json),
        (reads, reader): (&Place, &'a Json),
        pointer: &str,
    ) -> Result<(), CodecError> {
        let (written, read) = (list(writer, "fields"), list(reader, "fields"));
        // As if the writer had used the reader's names: those that its aliases give, unless the writer has a field of that very name.
        let renamed = |name: &str| {
            let has_alias = |field: &&Json| list(field, "aliases").iter().any(|alias| alias == name);
            let target = read.iter().find(has_alias).and_then(|field| field["name"].as_str());
            target.filter(|target| *target != name)
        };
        let names: Vec<&str> = written.iter().filter_map(|field| field["name"].as_str()).collect();
        for (index, name) in names.iter().enumerate() {
            let is_taken = |target: &&str| names.contains(target) && renamed(target).is_none();
            let is_first = |target: &&str| !names[..index].iter().any(|other| renamed(other) == Some(*target));
            let known = renamed(name).filter(|target| !is_taken(target) && is_first(target)).unwrap_or(name);
            let place = wrote.part("fields").part(&index.to_string());
            let before = self.names.insert(place.at.clone(), known.to_owned());
            if before.is_some_and(|before| before != known) {
                return Err(CodecError::schema(
                    "a record of its writer's is read as two, which know its fields by different names",
                ));
            }
            match read.iter().position(|field| field["name"] == known) {
                Some(at) => {
                    let read = reads.part("fields").part(&at.to_string()).part("type");
                    self.types(sides, place.part("type"), read, &format!("{pointer}/{known}"))?;
                }
                None => self.dropped.push(format!("{pointer}/{name}")),
            }
        }
        Ok(())
    }
}

fn list<'a>(schema: &'a Json, part: &str) -> &'a [Json] {
    schema[part].as_array().map_or(&[], Vec::as_slice)
}

fn is_decimal(schema: &Json) -> bool {
    schema["logicalType"] == "decimal"
}
