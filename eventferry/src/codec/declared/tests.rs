//! What a schema declares, by example and by chance.

use fastrand::Rng;
use serde_json::{Map, Value, json};

use crate::codec::Check as _;
use crate::codec::declared::Declared;
use crate::codec::known::Known;
use crate::codec::shown::MASK;

/// As the set shows it: what is no JSON is hidden as a whole.
fn shown(schema: &Declared, payload: &[u8]) -> Value {
    schema.masked(payload).unwrap_or_else(|| json!(MASK))
}

fn masked(schema: &Value, payload: &Value) -> Value {
    shown(&Declared::new(&schema.to_string()).unwrap(), payload.to_string().as_bytes())
}

/// Pointers of what a strict reader refuses.
fn refused(schema: &Value, payload: &Value) -> Vec<String> {
    match Declared::new(&schema.to_string()).unwrap().check(payload.to_string().as_bytes()) {
        Ok(()) => Vec::new(),
        Err(error) => error.violations().iter().map(|violation| violation.pointer().to_owned()).collect(),
    }
}

/// An order with everything that a schema of a derived type has.
fn order() -> Value {
    json!({
        "$defs": {
            "Card": { "x-sensitive": true, "type": "object", "properties": { "number": { "type": "string" } } },
            "Line": { "type": "object", "properties": { "sku": { "type": "string" }, "next": { "$ref": "#/$defs/Line" } } },
            "Paid": { "oneOf": [
                { "type": "object", "required": ["how", "iban"], "properties":
                    { "how": { "const": "bank" }, "iban": { "type": "string", "x-sensitive": true } } },
                { "type": "object", "required": ["how"], "properties": { "how": { "enum": ["cash"] }, "desk": { "type": "integer" } } },
            ] },
        },
        "type": "object",
        "properties": {
            "id": { "type": "integer" },
            "email": { "type": ["string", "null"], "x-sensitive": true },
            "card": { "anyOf": [{ "$ref": "#/$defs/Card" }, { "type": "null" }] },
            "lines": { "type": "array", "items": { "$ref": "#/$defs/Line" } },
            "pair": { "type": "array", "prefixItems": [{ "type": "string" }, { "type": "string", "x-sensitive": true }] },
            "by_email": { "type": "object", "additionalProperties": { "$ref": "#/$defs/Line" } },
            "paid": { "$ref": "#/$defs/Paid" },
            "any": true,
        },
    })
}

#[test]
fn what_is_marked_or_not_declared_is_masked_wherever_it_stands() {
    let payload = json!({
        "id": 7,
        "email": null,
        "card": { "number": "4111" },
        "lines": [{ "sku": "a", "next": { "sku": "b", "note": "secret" } }, "secret"],
        "pair": ["shown", "secret", "secret"],
        "by_email": { "john@x.example": { "sku": "c" }, "jane@x.example": { "sku": 5 } },
        "paid": { "how": "bank", "iban": "DE00", "desk": 3 },
        "any": { "secret": "secret" },
        "secret": "secret",
    });
    let expected = json!({
        "id": 7,
        "email": MASK,
        "card": MASK,
        "lines": [{ "sku": "a", "next": { "sku": "b", MASK: MASK } }, MASK],
        "pair": ["shown", MASK, MASK],
        "by_email": { MASK: { "sku": MASK }, "***2": { "sku": "c" } },
        "paid": { "how": "bank", "iban": MASK, "desk": 3 },
        "any": MASK,
        MASK: MASK,
    });
    assert_eq!(masked(&order(), &payload), expected);
}

#[test]
fn forms_of_the_whole_are_told_apart_by_a_strict_reader_and_not_by_a_mask() {
    let schema = json!({ "oneOf": [
        { "type": "object", "required": ["how"], "properties": { "how": { "const": "card" }, "number": { "type": "string", "x-sensitive": true } } },
        { "type": "object", "required": ["how"], "properties": { "how": { "const": "gift" }, "number": { "type": "string" }, "from": {} } },
    ] });
    let gift = json!({ "how": "gift", "number": "secret" });
    assert_eq!(
        masked(&schema, &gift),
        json!({ "how": "gift", "number": MASK }),
        "what is personal in one form is in all"
    );
    assert_eq!(refused(&schema, &json!({ "how": "gift", "from": 1 })), [""; 0]);
    assert_eq!(refused(&schema, &json!({ "how": "card", "from": 1 })), ["/*"]);
}

#[test]
fn what_is_no_json_or_of_another_kind_shows_nothing() {
    let schema = Declared::new(&order().to_string()).unwrap();
    for payload in [
        &b"\x00\x01secret"[..],
        b"",
        b"\"secret\"",
        b"[\"secret\"]",
        b"12",
        b"{\"id\":\"secret\"}",
        b"{\"id\":1.5}",
    ] {
        let shown = shown(&schema, payload).to_string();
        assert!(shown == "\"***\"" || shown == r#"{"id":"***"}"#, "{shown}");
    }
    for schema in [
        json!({}),
        json!(true),
        json!(false),
        json!({ "$ref": "https://example.com/a" }),
        json!({ "$ref": "#/gone" }),
    ] {
        assert_eq!(masked(&schema, &json!("secret")), json!(MASK), "{schema}");
    }
    // A reference that leads to itself has an end.
    let circle = json!({ "$ref": "#/$defs/A", "$defs": { "A": { "anyOf": [{ "$ref": "#/$defs/A" }, { "$ref": "#" }] } } });
    assert_eq!(masked(&circle, &json!("secret")), json!(MASK));
}

#[test]
fn a_strict_reader_refuses_what_is_not_declared_and_names_no_name_of_it() {
    let payload = json!({
        "id": 7,
        "secret": 1,
        "lines": [{ "sku": "a" }, { "secret": "b", "next": { "secret": 1 } }],
        "by_email": { "john@x.example": { "sku": "c", "secret": 1 } },
        "any": { "anything": ["goes"] },
        "paid": { "how": "bank", "iban": "DE00", "desk": 3 },
    });
    assert_eq!(
        refused(&order(), &payload),
        ["/by_email/*/*", "/lines/1/next/*", "/lines/1/*", "/paid/*", "/*"],
        "`desk` belongs to another form of `paid`"
    );
    let fine = json!({ "id": 7, "by_email": { "x": { "next": { "sku": "a" } } }, "paid": { "how": "cash", "desk": 1 }, "any": { "a": 1 } });
    assert_eq!(refused(&order(), &fine), [""; 0]);
    let many: Map<String, Value> = (0..100).map(|n| (n.to_string(), json!(n))).collect();
    assert_eq!(refused(&order(), &Value::Object(many)).len(), 16);
}

#[test]
fn members_that_several_parts_declare_together_are_declared() {
    let schema = json!({
        "allOf": [{ "type": "object", "properties": { "a": {} } }, { "$ref": "#/$defs/B" }],
        "properties": { "c": { "type": "string" } },
        "$defs": { "B": { "properties": { "b": { "type": "string" } } } },
    });
    assert_eq!(refused(&schema, &json!({ "a": { "x": 1 }, "b": "", "c": "" })), [""; 0]);
    assert_eq!(refused(&schema, &json!({ "d": 1 })), ["/*"]);
    for open in [
        json!({ "additionalProperties": { "type": "string" } }),
        json!({ "patternProperties": { "^\\d+$": {} } }),
        json!(true),
    ] {
        assert_eq!(refused(&open, &json!({ "1": "x" })), [""; 0], "{open}");
    }
    for closed in [json!({ "additionalProperties": false }), json!({ "type": "object" }), json!(false)] {
        assert_eq!(refused(&closed, &json!({ "1": "x" })), ["/*"], "{closed}");
    }
}

/// A schema and a payload made side by side, so that what may be seen is known from how they were made.
struct Made<'k> {
    random: Rng,
    known: &'k mut Known,
    defs: Map<String, Value>,
}

impl Made<'_> {
    fn leaf(&mut self, is_secret: bool) -> Value {
        match self.random.u8(..3) {
            0 => json!(self.known.number(is_secret)),
            1 => json!(self.known.text(is_secret) + "\n\"ä"),
            _ => json!(self.known.text(is_secret)),
        }
    }

    /// Anything at all, none of which may be seen.
    fn anything(&mut self, depth: u32) -> Value {
        match self.random.u32(..depth.max(1) + 2) {
            0 => json!([self.leaf(true), self.leaf(true)]),
            1 | 2 => self.leaf(true),
            _ => {
                let (key, value) = (self.known.text(true), self.anything(depth.saturating_sub(1)));
                json!({ key: value })
            }
        }
    }

    /// A schema and a value of it; all of the value is secret where `is_secret`.
    fn pair(&mut self, depth: u32, is_secret: bool) -> (Value, Value) {
        let is_marked = self.random.u8(..5) == 0;
        let (mut schema, mut value) = self.plain(depth, is_secret || is_marked);
        if is_marked {
            schema["x-sensitive"] = json!(true);
        }
        if self.random.u8(..10) == 0 {
            // A value of a kind that the schema has not.
            let kind = if value.is_object() { "array" } else { "object" };
            schema = json!({ "type": kind, "items": true, "properties": {} });
            value = self.leaf(true);
        }
        match self.random.u8(..6) {
            0 => {
                let name = format!("D{}", self.defs.len());
                self.defs.insert(name.clone(), schema);
                (json!({ "$ref": format!("#/$defs/{name}") }), value)
            }
            1 => (json!({ "anyOf": [schema, { "type": "null" }] }), value),
            2 => (json!({ "oneOf": [{ "type": "boolean" }, { "allOf": [schema] }] }), value),
            _ => (schema, value),
        }
    }

    fn plain(&mut self, depth: u32, is_secret: bool) -> (Value, Value) {
        match self.random.u8(..if depth == 0 { 2 } else { 6 }) {
            0 | 1 => {
                let value = self.leaf(is_secret);
                let kind = if value.is_string() { "string" } else { "integer" };
                (json!({ "type": [kind, "null"] }), value)
            }
            2 => {
                let (schema, value) = self.pair(depth - 1, is_secret);
                (json!({ "type": "array", "items": schema }), json!([value]))
            }
            3 => {
                let key = self.known.text(true);
                let (schema, value) = self.pair(depth - 1, is_secret);
                let keyword = ["additionalProperties", "unevaluatedProperties"][self.random.usize(..2)];
                (json!({ "type": "object", keyword: schema }), json!({ key: value }))
            }
            4 => (json!({ "description": "anything" }), self.anything(2)),
            _ => {
                let (mut properties, mut members) = (Map::new(), Map::new());
                for at in 0..self.random.usize(1..4) {
                    let (schema, value) = self.pair(depth - 1, is_secret);
                    properties.insert(format!("m{at}"), schema);
                    members.insert(format!("m{at}"), value);
                }
                if self.random.bool() {
                    let name = self.known.text(true);
                    members.insert(name, self.anything(2));
                }
                (json!({ "type": "object", "properties": properties }), Value::Object(members))
            }
        }
    }
}

#[test]
fn nothing_secret_is_ever_shown_and_nothing_open_is_hidden() {
    let mut known = Known::default();
    for seed in 0..3_000 {
        let mut made = Made {
            random: Rng::with_seed(seed),
            known: &mut known,
            defs: Map::new(),
        };
        let (mut schema, payload) = made.pair(4, false);
        schema["$defs"] = Value::Object(std::mem::take(&mut made.defs));
        let shown = masked(&schema, &payload).to_string();
        let payload = payload.to_string();
        // A value that was replaced by one of another kind is gone altogether.
        let gone = |open: &str| !payload.contains(open);
        made.known.judge(&shown, gone, &format!("seed {seed}, {payload} under {schema}"));
    }
    known.was_enough();
}
