//! One message read as another, field by field.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::field_descriptor_proto::Type;

use crate::schema::evolution::Effect;
use crate::schema::evolution::findings::{Direction, Findings, below, changed};
use crate::schema::evolution::protobuf::file::{Count, Field, File, Kind, Message};
use crate::schema::evolution::protobuf::scalar::{Reading, name, reading};

/// A file that was written with and a file that is read with.
pub(super) struct Comparison<'a> {
    pub(super) direction: Direction,
    pub(super) writer: &'a File,
    pub(super) reader: &'a File,
    pub(super) seen: BTreeSet<(String, String)>,
    pub(super) findings: &'a mut Findings,
}

impl Comparison<'_> {
    pub(super) fn messages(&mut self, wrote: &str, reads: &str, path: &str) {
        // A pair that is read already is read below itself by the same rules.
        if !self.seen.insert((wrote.to_owned(), reads.to_owned())) {
            return;
        }
        let (writer, reader) = (self.writer, self.reader);
        let (Some(wrote), Some(reads)) = (writer.message(wrote), reader.message(reads)) else {
            return;
        };
        if wrote.is_map_entry != reads.is_map_entry {
            // A list may hold two entries of one key, and a map keeps the last.
            let effect = if reads.is_map_entry { Effect::Breaks } else { Effect::Safe };
            let word = |is_map| Some(if is_map { "a map" } else { "a list" }.to_owned());
            self.tell(
                effect,
                path.trim_end_matches("/*"),
                "map",
                "",
                word(wrote.is_map_entry),
                word(reads.is_map_entry),
            );
        }
        for field in &reads.fields {
            let inside = place(reads, field, path);
            match wrote.field(field.number) {
                Some(source) => {
                    if source.name != field.name && !self.is_moved(wrote, reads, source, field, path) {
                        self.tell(
                            Effect::Safe,
                            &self.old_or_new(path, source, field),
                            "name",
                            "name",
                            Some(quoted(&source.name)),
                            Some(quoted(&field.name)),
                        );
                    }
                    self.field(source, field, &self.old_or_new_at(&place(wrote, source, path), &inside));
                }
                None => self.unwritten(wrote, field, &inside),
            }
        }
        for field in wrote.fields.iter().filter(|field| reads.field(field.number).is_none()) {
            let is_moved = reads.fields.iter().any(|other| other.name == field.name);
            if !is_moved {
                self.tell(
                    Effect::Safe,
                    &place(wrote, field, path),
                    "field",
                    "field",
                    Some(described(field)),
                    None,
                );
            }
        }
        self.choices(wrote, reads, path);
    }

    /// A name that another number has now: the values that were written under it are not read under it any more.
    fn is_moved(&mut self, wrote: &Message, reads: &Message, source: &Field, field: &Field, path: &str) -> bool {
        let pairs = [
            (Some(source), reads.fields.iter().find(|other| other.name == source.name)),
            (wrote.fields.iter().find(|other| other.name == field.name), Some(field)),
        ];
        let mut is_moved = false;
        for (source, target) in pairs {
            if let (Some(source), Some(target)) = (source, target) {
                self.moved(source, target, path);
                is_moved = true;
            }
        }
        is_moved
    }

    fn moved(&mut self, source: &Field, target: &Field, path: &str) {
        let numbers = (Some(source.number.to_string()), Some(target.number.to_string()));
        self.tell(Effect::Breaks, &below(path, &source.name), "number", "number", numbers.0, numbers.1);
    }

    /// A field that the writer does not have.
    fn unwritten(&mut self, wrote: &Message, field: &Field, path: &str) {
        if let Some(source) = wrote.fields.iter().find(|source| source.name == field.name) {
            let numbers = (Some(source.number.to_string()), Some(field.number.to_string()));
            return self.tell(Effect::Breaks, path, "number", "number", numbers.0, numbers.1);
        }
        // Versions before the writer's own used the number for something else. The other way round it was given up, as it should be.
        if wrote.reserves(field.number) && self.direction == Direction::Backward {
            let taken = format!("takes the number {}, which was reserved", field.number);
            self.findings.breaks(self.direction, Effect::Breaks, path, "reserved", taken);
        }
        let effect = if field.count == Count::Required {
            Effect::Breaks
        } else {
            Effect::Safe
        };
        self.tell(effect, path, "field", "field", None, Some(described(field)));
    }

    fn field(&mut self, source: &Field, field: &Field, path: &str) {
        if source.default != field.default {
            self.tell(
                Effect::Safe,
                path,
                "default",
                "`default`",
                source.default.clone(),
                field.default.clone(),
            );
        }
        let is_many = field.count == Count::Repeated;
        if source.count != field.count {
            let effect = match (source.count, field.count) {
                // A default that is not written does not become an item.
                (Count::Implicit, Count::Repeated) if !is_message(&source.kind) => Effect::Breaks,
                (Count::Repeated, _) | (Count::Optional | Count::Implicit, Count::Required) => Effect::Breaks,
                _ => Effect::Safe,
            };
            self.tell(effect, path, "label", "", Some(count(source)), Some(count(field)));
        }
        let inside = if is_many && is_message(&field.kind) {
            below(path, "*")
        } else {
            path.to_owned()
        };
        self.kinds(source, field, &inside);
    }

    fn kinds(&mut self, source: &Field, field: &Field, path: &str) {
        let read = match (&source.kind, &field.kind) {
            (Kind::Message(wrote), Kind::Message(reads)) | (Kind::Group(wrote), Kind::Group(reads)) => {
                return self.messages(wrote, reads, path);
            }
            (Kind::Enum(wrote), Kind::Enum(reads)) => return self.enums(wrote, reads, path),
            (Kind::Known(wrote), Kind::Known(reads)) | (Kind::Imported(wrote), Kind::Imported(reads)) if wrote == reads => return,
            (Kind::Scalar(wrote), Kind::Scalar(reads)) => reading(*wrote, *reads),
            (Kind::Enum(_), Kind::Scalar(reads)) => reading(Type::Enum, *reads),
            // A closed enum drops the numbers that it does not name.
            (Kind::Scalar(Type::Int32 | Type::Bool), Kind::Enum(_)) if self.reader.is_open() => Reading::Kept,
            (Kind::Scalar(_), Kind::Enum(_)) => Reading::Changed,
            (Kind::Message(_) | Kind::Known(_), Kind::Scalar(Type::Bytes)) => Reading::Kept,
            _ => Reading::Lost,
        };
        if source.kind != field.kind {
            let effect = if read == Reading::Kept { Effect::Safe } else { Effect::Breaks };
            self.tell(effect, path, "type", "type", Some(called(&source.kind)), Some(called(&field.kind)));
        }
    }

    fn enums(&mut self, wrote: &str, reads: &str, path: &str) {
        let (olds, news) = (self.writer.values(wrote), self.reader.values(reads));
        let is_open = self.reader.is_open();
        for (name, number) in olds {
            let by_name = news.iter().find(|(other, _)| other == name);
            let by_number = news.iter().find(|(_, other)| other == number);
            if let Some((_, other)) = by_name.filter(|(_, other)| other != number) {
                let numbers = (Some(number.to_string()), Some(other.to_string()));
                self.tell(
                    Effect::Breaks,
                    path,
                    &format!("value {name}"),
                    &format!("number of `{name}`"),
                    numbers.0,
                    numbers.1,
                );
            } else if by_number.is_none() {
                let effect = if is_open { Effect::Safe } else { Effect::Breaks };
                self.tell(effect, path, &format!("value {name}"), "value", Some(quoted(name)), None);
            } else if let Some((other, _)) = by_number.filter(|(other, _)| other != name && !olds.iter().any(|(old, _)| old == other)) {
                let (first, second) = if self.direction == Direction::Backward {
                    (name, other)
                } else {
                    (other, name)
                };
                let rule = format!("value {first} {second}");
                self.tell(
                    Effect::Safe,
                    path,
                    &rule,
                    &format!("name of the value {number}"),
                    Some(quoted(name)),
                    Some(quoted(other)),
                );
            }
        }
        for (name, _) in news
            .iter()
            .filter(|(name, number)| !olds.iter().any(|(other, old)| other == name || old == number))
        {
            self.tell(Effect::Safe, path, &format!("value {name}"), "value", None, Some(quoted(name)));
        }
    }

    /// Members of which the reader keeps only one, while the writer may write several.
    fn choices(&mut self, wrote: &Message, reads: &Message, path: &str) {
        let mut choices: BTreeMap<&str, Vec<&Field>> = BTreeMap::new();
        for field in &reads.fields {
            if let Some(name) = &field.oneof {
                choices.entry(name).or_default().push(field);
            }
        }
        for (choice, fields) in choices {
            let sources: Vec<_> = fields.iter().filter_map(|field| wrote.field(field.number)).collect();
            let is_choice = sources
                .windows(2)
                .all(|pair| pair[0].oneof.is_some() && pair[0].oneof == pair[1].oneof);
            for (source, field) in fields.iter().filter_map(|field| Some((wrote.field(field.number)?, field))) {
                if source.oneof.as_deref() != Some(choice) {
                    let effect = if is_choice { Effect::Safe } else { Effect::Breaks };
                    let inside = self.old_or_new(path, source, field);
                    self.tell(
                        effect,
                        &inside,
                        "oneof",
                        "`oneof`",
                        source.oneof.as_deref().map(quoted),
                        Some(quoted(choice)),
                    );
                }
            }
        }
        for field in wrote.fields.iter().filter(|field| field.oneof.is_some()) {
            if let Some(target) = reads.field(field.number).filter(|target| target.oneof.is_none()) {
                let inside = self.old_or_new(path, field, target);
                self.tell(Effect::Safe, &inside, "oneof", "`oneof`", field.oneof.as_deref().map(quoted), None);
            }
        }
    }

    /// The path of a field that both have: by the name the new schema has for it.
    fn old_or_new(&self, path: &str, source: &Field, field: &Field) -> String {
        below(path, &if self.direction == Direction::Backward { field } else { source }.name)
    }

    fn old_or_new_at(&self, source: &str, field: &str) -> String {
        if self.direction == Direction::Backward { field } else { source }.to_owned()
    }

    /// A difference: what the writer has and what the reader has, or either.
    fn tell(&mut self, effect: Effect, path: &str, rule: &str, what: &str, writer: Option<String>, reader: Option<String>) {
        let (old, new) = match self.direction {
            Direction::Backward => (writer, reader),
            Direction::Forward => (reader, writer),
        };
        self.findings
            .breaks(self.direction, effect, path, rule, changed(what, old, new).trim().to_owned());
    }
}

/// Where a field is: a map's key and value stand for themselves.
fn place(message: &Message, field: &Field, path: &str) -> String {
    match (message.is_map_entry, field.number) {
        (true, 1) => format!("{}[key]", path.trim_end_matches("/*")),
        (true, _) => path.to_owned(),
        (false, _) => below(path, &field.name),
    }
}

fn is_message(kind: &Kind) -> bool {
    // What is imported may be an enum.
    matches!(kind, Kind::Message(_) | Kind::Group(_) | Kind::Known(_))
}

fn called(kind: &Kind) -> String {
    match kind {
        Kind::Scalar(scalar) => name(*scalar),
        Kind::Message(full) | Kind::Group(full) | Kind::Known(full) | Kind::Imported(full) | Kind::Enum(full) => full.clone(),
    }
}

fn count(field: &Field) -> String {
    let word = match field.count {
        Count::Implicit => "without presence",
        Count::Optional => "optional",
        Count::Required => "required",
        Count::Repeated => "repeated",
    };
    word.to_owned()
}

/// A field that only one of two has.
fn described(field: &Field) -> String {
    let required = if field.count == Count::Required { ", required," } else { "" };
    format!("{} of type {}{required}", field.number, called(&field.kind))
}

fn quoted(text: &str) -> String {
    format!("`{text}`")
}
