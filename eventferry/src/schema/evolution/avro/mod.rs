//! Avro: the reader's schema resolves what the writer's wrote, by the rules of the specification's schema resolution.
//!
//! Where the specification leaves the outcome to the data, or the implementation that this library decodes with refuses what it allows, nothing
//! is called compatible: bytes that become a text, a logical type that is dropped or becomes another.

mod types;

use std::collections::BTreeSet;

use apache_avro::Schema as Avro;
use apache_avro::schema::{EnumSchema, RecordField, RecordSchema, ResolvedSchema};
use types::{Node, base, fits, is_alias, is_harmless, promotes, size};

use crate::schema::Schema;
use crate::schema::evolution::findings::{Direction, Findings, below, changed};
use crate::schema::evolution::{Effect, EvolutionError};

pub(super) fn compare(old: &Schema, new: &Schema, findings: &mut Findings) -> Result<(), EvolutionError> {
    let parse = |which: &str, schema: &Schema| Avro::parse_str(&schema.text).map_err(|e| EvolutionError::invalid(which, &schema.name, e));
    let (old_text, new_text) = (parse("old", old)?, parse("new", new)?);
    // Nothing is resolved where both are one: an alias that would take a field from another takes nothing then.
    if is_same(&old.text, &new.text) {
        return Ok(());
    }
    let named = |which: &str, schema: &Schema, text| ResolvedSchema::new(text).map_err(|e| EvolutionError::invalid(which, &schema.name, e));
    let (old_names, new_names) = (named("old", old, &old_text)?, named("new", new, &new_text)?);
    let old = Node {
        schema: &old_text,
        names: old_names.get_names(),
    };
    let new = Node {
        schema: &new_text,
        names: new_names.get_names(),
    };
    for (direction, writer, reader) in [(Direction::Backward, old, new), (Direction::Forward, new, old)] {
        let mut resolver = Resolver {
            direction,
            open: BTreeSet::new(),
            gaps: Vec::new(),
        };
        resolver.read(writer, reader, "");
        for gap in resolver.gaps {
            let effect = if gap.is_broken { Effect::Breaks } else { Effect::Safe };
            findings.breaks(direction, effect, &gap.path, &gap.rule, gap.change);
        }
    }
    Ok(())
}

struct Gap {
    path: String,
    rule: String,
    change: String,
    is_broken: bool,
}

struct Resolver {
    direction: Direction,
    /// The pairs of records that are being read.
    open: BTreeSet<(usize, usize)>,
    gaps: Vec<Gap>,
}

impl Resolver {
    /// Notes a difference: what the writer has and what the reader has, or either.
    fn tell(&mut self, is_broken: bool, path: &str, rule: &str, what: &str, writer: Option<String>, reader: Option<String>) {
        let (old, new) = match self.direction {
            Direction::Backward => (writer, reader),
            Direction::Forward => (reader, writer),
        };
        let change = changed(what, old, new).trim().to_owned();
        self.gaps.push(Gap {
            path: path.to_owned(),
            rule: rule.to_owned(),
            change,
            is_broken,
        });
    }

    fn is_read(&mut self, writer: Node<'_>, reader: Node<'_>, path: &str) -> bool {
        let before = self.gaps.len();
        self.read(writer, reader, path);
        let is_read = self.gaps[before..].iter().all(|gap| !gap.is_broken);
        self.gaps.truncate(before);
        is_read
    }

    fn read(&mut self, writer: Node<'_>, reader: Node<'_>, path: &str) {
        let (writer, reader) = (writer.at(writer.schema), reader.at(reader.schema));
        if matches!(writer.schema, Avro::Union(_)) || matches!(reader.schema, Avro::Union(_)) {
            return self.unions(writer, reader, path);
        }
        let ((wrote, wrote_as), (reads, reads_as)) = (base(writer.schema), base(reader.schema));
        if !promotes(wrote, reads) {
            return self.tell(true, path, "type", "type", Some(writer.called()), Some(reader.called()));
        }
        self.doc(writer, reader, path);
        if wrote_as != reads_as {
            let is_given = wrote_as.is_none() && is_harmless(reads, reads_as.as_deref());
            self.tell(!is_given, path, "type", "type", Some(writer.called()), Some(reader.called()));
        } else if wrote != reads {
            self.tell(
                wrote_as.is_some(),
                path,
                "type",
                "type",
                Some(wrote.to_owned()),
                Some(reads.to_owned()),
            );
        }
        match (writer.schema, reader.schema) {
            (Avro::Record(wrote), Avro::Record(reads)) => {
                self.name(writer, reader, path);
                let pair = (std::ptr::from_ref(wrote).addr(), std::ptr::from_ref(reads).addr());
                // A pair that is read already is read below itself by the same rules.
                if self.open.insert(pair) {
                    self.records((writer, wrote), (reader, reads), path);
                    self.open.remove(&pair);
                }
            }
            (Avro::Enum(wrote), Avro::Enum(reads)) => {
                self.name(writer, reader, path);
                self.symbols(wrote, reads, path);
            }
            (Avro::Array(wrote), Avro::Array(reads)) => self.read(writer.at(&wrote.items), reader.at(&reads.items), &below(path, "*")),
            (Avro::Map(wrote), Avro::Map(reads)) => self.read(writer.at(&wrote.types), reader.at(&reads.types), &below(path, "*")),
            _ => {}
        }
        if wrote == "fixed" && reads == "fixed" {
            self.name(writer, reader, path);
            let sizes = (size(writer.schema), size(reader.schema));
            if sizes.0 != sizes.1 {
                let shown = |size: Option<usize>| size.map(|size| size.to_string());
                self.tell(true, path, "size", "size", shown(sizes.0), shown(sizes.1));
            }
        }
    }

    fn doc(&mut self, writer: Node<'_>, reader: Node<'_>, path: &str) {
        if writer.schema.doc() != reader.schema.doc() {
            self.tell(false, path, "doc", "`doc`", None, None);
        }
    }

    /// Whether the reader knows a type by the writer's name for it: the name without its namespace, or an alias.
    fn name(&mut self, writer: Node<'_>, reader: Node<'_>, path: &str) {
        let (Some(wrote), Some(reads)) = (writer.name(), reader.name()) else {
            return;
        };
        if wrote == reads {
            return;
        }
        let is_known = wrote.name() == reads.name() || is_alias(wrote, reader);
        self.tell(
            !is_known,
            path,
            "name",
            "name",
            Some(wrote.fullname(None)),
            Some(reads.fullname(None)),
        );
    }

    fn records(&mut self, (writer, wrote): (Node<'_>, &RecordSchema), (reader, reads): (Node<'_>, &RecordSchema), path: &str) {
        let mut taken = BTreeSet::new();
        for field in &reads.fields {
            let inside = below(path, &field.name);
            let source = match source(wrote, reads, field) {
                Ok(source) => source,
                Err(why) => {
                    taken.extend(
                        wrote
                            .fields
                            .iter()
                            .filter(|one| is_called(field, &one.name))
                            .map(|one| one.name.as_str()),
                    );
                    self.gaps.push(Gap {
                        path: inside,
                        rule: "alias twice".to_owned(),
                        change: why,
                        is_broken: true,
                    });
                    continue;
                }
            };
            let Some(source) = source else {
                let has_default = field.default.is_some();
                let there = if has_default { "with a default" } else { "without a default" };
                self.tell(!has_default, &inside, "field", "field", None, Some(there.to_owned()));
                continue;
            };
            taken.insert(source.name.as_str());
            if source.name == field.name {
                self.annotations(source, field, &inside);
            } else {
                self.tell(
                    false,
                    &inside,
                    "alias",
                    "",
                    Some(format!("`{}`", source.name)),
                    Some(format!("`{}`, by its alias", field.name)),
                );
            }
            self.read(writer.at(&source.schema), reader.at(&field.schema), &inside);
        }
        for field in wrote.fields.iter().filter(|field| !taken.contains(field.name.as_str())) {
            let there = if field.default.is_some() {
                "with a default"
            } else {
                "without a default"
            };
            self.tell(false, &below(path, &field.name), "field", "field", Some(there.to_owned()), None);
        }
    }

    fn annotations(&mut self, wrote: &RecordField, reads: &RecordField, path: &str) {
        if wrote.default != reads.default {
            let shown = |field: &RecordField| field.default.as_ref().map(ToString::to_string);
            self.tell(false, path, "default", "`default`", shown(wrote), shown(reads));
        }
        if wrote.doc != reads.doc {
            self.tell(false, path, "doc", "`doc`", None, None);
        }
        if wrote.aliases != reads.aliases {
            self.tell(false, path, "aliases", "`aliases`", None, None);
        }
    }

    fn symbols(&mut self, wrote: &EnumSchema, reads: &EnumSchema, path: &str) {
        for symbol in wrote.symbols.iter().filter(|symbol| !reads.symbols.contains(symbol)) {
            let is_lost = reads.default.is_none();
            self.tell(
                is_lost,
                path,
                &format!("symbol {symbol}"),
                "symbol",
                Some(format!("`{symbol}`")),
                None,
            );
        }
        for symbol in reads.symbols.iter().filter(|symbol| !wrote.symbols.contains(symbol)) {
            self.tell(
                false,
                path,
                &format!("symbol {symbol}"),
                "symbol",
                None,
                Some(format!("`{symbol}`")),
            );
        }
        if wrote.default != reads.default {
            self.tell(false, path, "default", "`default`", wrote.default.clone(), reads.default.clone());
        }
    }

    fn unions(&mut self, writer: Node<'_>, reader: Node<'_>, path: &str) {
        let (wrote, reads) = (writer.branches(), reader.branches());
        let is_choice = |branches: &[Node<'_>]| branches.iter().filter(|branch| !matches!(branch.schema, Avro::Null)).count() > 1;
        let is_told = is_choice(&wrote) || is_choice(&reads);
        for branch in &wrote {
            let mut fitting = reads.iter().filter(|one| fits(*branch, **one)).peekable();
            if fitting.peek().is_none() {
                let null = matches!(branch.schema, Avro::Null);
                let rule = format!("branch {}", branch.called());
                match null {
                    true => self.tell(
                        true,
                        path,
                        "null",
                        "",
                        Some("perhaps null".to_owned()),
                        Some("never null".to_owned()),
                    ),
                    false if reads.len() == 1 && wrote.len() == 1 => {
                        self.tell(true, path, "type", "type", Some(branch.called()), Some(reads[0].called()));
                    }
                    false => self.tell(true, path, &rule, "branch", Some(branch.called()), None),
                }
                continue;
            }
            let inside = if is_told && branch.name().is_some() {
                format!("{path}[{}]", branch.name().map_or("", |name| name.name()))
            } else {
                path.to_owned()
            };
            // Which one a reader takes of several is a matter of its implementation, so all must do.
            let fitting: Vec<_> = fitting.copied().collect();
            let bad = fitting.iter().find(|one| !self.is_read(*branch, **one, &inside));
            let exact = fitting.iter().find(|one| base(one.schema).0 == base(branch.schema).0);
            if let Some(one) = bad.or(exact).or(fitting.first()) {
                self.read(*branch, *one, &inside);
            }
        }
        for branch in reads.iter().filter(|one| !wrote.iter().any(|branch| fits(*branch, **one))) {
            let called = branch.called();
            if matches!(branch.schema, Avro::Null) {
                let words = ("never null".to_owned(), "perhaps null".to_owned());
                self.tell(false, path, "null", "", Some(words.0), Some(words.1));
            } else {
                self.tell(false, path, &format!("branch {called}"), "branch", None, Some(called));
            }
        }
    }
}

/// The writer's field that a reader's field is read from: of its name, or of an alias.
///
/// By the specification the writer's fields get the reader's names before anything is read, all at once. Where two of them get one name, or one is
/// meant by two of the reader's, readers differ in what they do, and some refuse: why is what is returned then.
fn source<'a>(wrote: &'a RecordSchema, reads: &RecordSchema, field: &RecordField) -> Result<Option<&'a RecordField>, String> {
    let mut sources = wrote.fields.iter().filter(|one| is_called(field, &one.name));
    let Some(source) = sources.next() else {
        return Ok(None);
    };
    if let Some(other) = sources.next() {
        return Err(format!("`{}` and `{}` are both read as `{}`", source.name, other.name, field.name));
    }
    let mut others = reads.fields.iter().filter(|other| other.name != field.name);
    match others.find(|other| is_called(other, &source.name)) {
        Some(other) => Err(format!("`{}` is read as `{}` and as `{}`", source.name, field.name, other.name)),
        None => Ok(Some(source)),
    }
}

/// Whether a reader's field goes by a name.
fn is_called(field: &RecordField, name: &str) -> bool {
    field.name == name || field.aliases.iter().any(|alias| alias == name)
}

/// Whether two texts are one schema, white space and the order of members aside.
fn is_same(old: &str, new: &str) -> bool {
    let parsed = |text| serde_json::from_str::<serde_json::Value>(text).ok();
    old == new || parsed(old).is_some_and(|old| parsed(new) == Some(old))
}
