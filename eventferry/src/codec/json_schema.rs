//! Checks JSON against JSON Schema, and says what is wrong without saying what the value is.

use std::collections::HashSet;

use jsonschema::Validator;
use jsonschema::error::{TypeKind, ValidationError, ValidationErrorKind as Kind};
use serde::Serialize;
use serde_json::Value;

use crate::codec::json::undecodable;
use crate::codec::json_numbers::looked_at;
use crate::codec::{Check, CodecError, Encode, Json, Violation};

/// The most violations that one error tells of.
const MOST: usize = 16;
/// Of a payload with more values than this, one error tells of the first violation only: the library finds all of them before it gives the
/// first away, at up to two kilobytes each.
const LISTED: usize = 1_000;

impl<E: Serialize + ?Sized> Encode<E> for Json {
    fn encode(event: &E) -> Result<Vec<u8>, CodecError> {
        let (written, beyond) = looked_at(event, |event| serde_json::to_vec(event));
        if let Some(pointer) = beyond {
            // It would be written as `null`, and read as `None` where the field may be missing.
            let infinite = Violation::new(pointer, "type", "must be a finite number: JSON has no other");
            return Err(CodecError::refused(vec![infinite]));
        }
        // A `Serialize` written by hand may put values into its error, so the text is dropped.
        written.map_err(|_| CodecError::encode("its `Serialize` failed"))
    }
}

/// A compiled JSON Schema.
pub(super) struct JsonSchemaCheck {
    validator: Validator,
    /// Every name some `properties` of the schema declares: the only names a pointer may show.
    declared: HashSet<String>,
}

impl JsonSchemaCheck {
    pub(super) fn new(schema: &Value) -> Result<Self, CodecError> {
        let validator = jsonschema::options()
            .offline()
            .should_validate_formats(true)
            .build(schema)
            .map_err(|e| CodecError::schema(format!("the schema is wrong at `{}`: {e}", e.instance_path())))?;
        let mut declared = HashSet::new();
        collect_declared(schema, &mut declared);
        Ok(Self { validator, declared })
    }

    /// Adds what an error says; of several forms, what keeps the value from being the one that it was meant to be, where that is plain.
    fn tell(&self, root: &Value, error: &ValidationError<'_>, to: &mut Vec<Violation>) {
        if to.len() >= MOST {
            return;
        }
        if let Kind::AnyOf { context } | Kind::OneOfNotValid { context } = error.kind()
            && let Some(form) = meant(error.instance_path().as_str(), context)
        {
            for inner in form {
                self.tell(root, inner, to);
            }
            return;
        }
        let pointer = self.pointer(root, error.instance_path().as_str());
        to.push(Violation::new(pointer, error.kind().keyword(), reason(error.kind())));
    }

    /// The pointer with declared names and positions as they are, and `*` for every other name: the keys of a map are values too.
    fn pointer(&self, root: &Value, raw: &str) -> String {
        let mut shown = String::new();
        let mut here = Some(root);
        for segment in raw.split('/').skip(1) {
            let name = segment.replace("~1", "/").replace("~0", "~");
            shown.push('/');
            match here {
                Some(Value::Array(items)) => {
                    here = name.parse().ok().and_then(|i: usize| items.get(i));
                    shown.push_str(if here.is_some() { segment } else { "*" });
                }
                Some(Value::Object(members)) => {
                    here = members.get(&name);
                    shown.push_str(if self.declared.contains(&name) { segment } else { "*" });
                }
                Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => shown.push('*'),
            }
        }
        shown
    }
}

impl Check for JsonSchemaCheck {
    fn check(&self, bytes: &[u8]) -> Result<(), CodecError> {
        let value: Value = serde_json::from_slice(bytes).map_err(|e| undecodable(&e))?;
        if members(&value) != colons(bytes) {
            // One reader takes the first of the two and another the last, and only one of them was checked.
            let twice = Violation::new("", "duplicate", "has an object with two members of one name");
            return Err(CodecError::refused(vec![twice]));
        }
        if self.validator.is_valid(&value) {
            return Ok(());
        }
        let mut violations = Vec::new();
        if values(&value) <= LISTED {
            for error in self.validator.iter_errors(&value).take(MOST) {
                self.tell(&value, &error, &mut violations);
            }
        } else if let Err(error) = self.validator.validate(&value) {
            self.tell(&value, &error, &mut violations);
        }
        if violations.is_empty() {
            violations.push(Violation::new("", "schema", "is not what the schema describes"));
        }
        Err(CodecError::refused(violations))
    }
}

/// How many values a value consists of, itself included.
fn values(value: &Value) -> usize {
    match value {
        Value::Object(inner) => 1 + inner.values().map(values).sum::<usize>(),
        Value::Array(items) => 1 + items.iter().map(values).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
    }
}

/// Of the forms that a value at a place does not have, the one that it comes nearest to; none where two are as near, or all are other forms.
///
/// Without this an error anywhere in an `Option` or in an enum with data would be one of the whole, and its place not told.
fn meant<'e>(place: &str, forms: &'e [Vec<ValidationError<'static>>]) -> Option<&'e [ValidationError<'static>]> {
    /// How far a value is from a form: wrong only further in, wrong itself, another type or tag.
    #[derive(PartialEq, Eq, PartialOrd, Ord)]
    enum Distance {
        Within,
        Here,
        Other,
    }
    let distance = |form: &[ValidationError<'_>]| {
        let of_one = form.iter().map(|error| {
            let below = error.instance_path().as_str().strip_prefix(place).unwrap_or_default();
            let depth = below.matches('/').count();
            let is_other = match depth {
                0 => matches!(
                    error.kind(),
                    Kind::Type { .. } | Kind::Constant { .. } | Kind::Enum { .. } | Kind::FalseSchema
                ),
                // A tag is a constant in a member.
                1 => matches!(error.kind(), Kind::Constant { .. }),
                _ => false,
            };
            match (is_other, depth) {
                (true, _) => Distance::Other,
                (false, 0) => Distance::Here,
                (false, _) => Distance::Within,
            }
        });
        of_one.max().unwrap_or(Distance::Other)
    };
    let nearest = forms
        .iter()
        .map(|form| distance(form))
        .min()
        .filter(|nearest| *nearest != Distance::Other)?;
    let mut near = forms.iter().filter(|form| distance(form) == nearest);
    match (near.next(), near.next()) {
        (Some(form), None) => Some(form),
        _ => None,
    }
}

/// How many members the objects of a value have, all together.
fn members(value: &Value) -> usize {
    match value {
        Value::Object(inner) => inner.len() + inner.values().map(members).sum::<usize>(),
        Value::Array(items) => items.iter().map(members).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// How many members well-formed JSON writes: as many as it has colons outside of texts.
fn colons(json: &[u8]) -> usize {
    let (mut count, mut is_text, mut bytes) = (0, false, json.iter());
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => is_text = !is_text,
            b'\\' if is_text => drop(bytes.next()),
            b':' if !is_text => count += 1,
            _ => {}
        }
    }
    count
}

fn collect_declared(schema: &Value, into: &mut HashSet<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Object(properties)) = members.get("properties") {
                into.extend(properties.keys().cloned());
            }
            for member in members.values() {
                collect_declared(member, into);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_declared(item, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The rule in words, made of the schema's own limits only. Kinds that carry names or values of the payload get a text of ours.
fn reason(kind: &Kind) -> String {
    match kind {
        Kind::Type {
            kind: TypeKind::Single(one),
        } => format!("must be of type `{one}`"),
        Kind::Type {
            kind: TypeKind::Multiple(several),
        } => {
            let names: Vec<_> = several.iter().map(|one| format!("`{one}`")).collect();
            format!("must be of one of the types {}", names.join(", "))
        }
        Kind::Minimum { limit } => format!("must be at least {limit}"),
        Kind::Maximum { limit } => format!("must be at most {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("must be more than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Kind::MinLength { limit } => format!("must have at least {limit} characters"),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::MinItems { limit } => format!("must have at least {limit} items"),
        Kind::MaxItems { limit } => format!("must have at most {limit} items"),
        Kind::MinProperties { limit } => format!("must have at least {limit} members"),
        Kind::MaxProperties { limit } => format!("must have at most {limit} members"),
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        Kind::Pattern { pattern } => format!("must match the pattern `{pattern}`"),
        Kind::Format { format } => format!("must be in the format `{format}`"),
        Kind::Required { property } => format!("must have the member {property}"),
        Kind::Enum { .. } => "must be one of the values listed in the schema".to_owned(),
        Kind::Constant { .. } => "must be the one value the schema gives".to_owned(),
        Kind::UniqueItems => "must not hold an item twice".to_owned(),
        Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } => "has none of the forms the schema allows".to_owned(),
        Kind::OneOfMultipleValid { .. } => "has more than one of the forms the schema allows one of".to_owned(),
        Kind::Not { .. } => "has a form the schema forbids".to_owned(),
        Kind::FalseSchema => "must not be there".to_owned(),
        Kind::Contains => "must hold an item of the kind the schema asks for".to_owned(),
        Kind::AdditionalItems { .. } | Kind::UnevaluatedItems { .. } => "has more items than the schema allows".to_owned(),
        Kind::AdditionalProperties { .. } | Kind::UnevaluatedProperties { .. } => "has a member the schema does not declare".to_owned(),
        Kind::PropertyNames { .. } => "has a member whose name the schema forbids".to_owned(),
        Kind::ContentEncoding { content_encoding } => format!("must be encoded as `{content_encoding}`"),
        Kind::ContentMediaType { content_media_type } => format!("must be of the media type `{content_media_type}`"),
        Kind::FromUtf8 { .. } => "must be text once decoded".to_owned(),
        Kind::BacktrackLimitExceeded { .. } | Kind::RegexEngineFailure { .. } => {
            "could not be matched with the schema's pattern".to_owned()
        }
        Kind::Custom { .. } => "breaks a rule of the schema".to_owned(),
        Kind::Referencing(_) => "could not be checked: the schema refers to what is not there".to_owned(),
    }
}
