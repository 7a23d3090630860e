#![no_main]
//! Two versions of a schema: known texts, changed word by word as the bytes say. Comparing them ends, finds nothing in a text and itself, and
//! finds the same when the two change places.

use std::sync::LazyLock;

use eventferry::schema::evolution::{Effect, Evolution, compare};
use eventferry::schema::{Schema, SchemaKind};
use eventferry_fuzz::Things;
use libfuzzer_sys::fuzz_target;

const JSON: &str = r##"{"$defs":{"a":{"type":"object","properties":{"next":{"$ref":"#/$defs/a"},"t":{"const":"x"}},"required":["t"],
    "additionalProperties":false}},"type":["object","null"],"title":"E","properties":{"a":{"anyOf":[{"$ref":"#/$defs/a"},{"type":"null"}]},
    "b":{"type":"array","items":{"type":"integer","minimum":0,"maximum":9},"prefixItems":[{"type":"string"}],"minItems":1},
    "c":{"oneOf":[{"enum":["p","q"]},{"type":"number","multipleOf":2}]},"d":{"allOf":[{"type":"string"},{"pattern":"^a","maxLength":4}]}},
    "patternProperties":{"^x":{"type":"boolean"}},"dependentRequired":{"a":["b"]},"if":{"required":["a"]},"then":{"minProperties":2},"not":{"const":1}}"##;
const AVRO: &str = r#"{"type":"record","name":"E","namespace":"n","aliases":["F"],"fields":[{"name":"a","type":"int","default":1},
    {"name":"b","type":["null",{"type":"array","items":"E"}],"default":null,"aliases":["z"]},
    {"name":"c","type":{"type":"enum","name":"K","symbols":["P","Q"],"default":"P"}},
    {"name":"d","type":{"type":"map","values":{"type":"fixed","name":"X","size":4}}},
    {"name":"e","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},{"name":"f","type":"n.K"}]}"#;
const PROTO: &str = "syntax = \"proto3\"; package p; message E { int32 a = 1; repeated E b = 2; map<string, sint64> c = 3; reserved 9, 20 to 30; \
    reserved \"z\"; oneof d { string e = 4; bytes f = 5; } optional K g = 6; enum K { P = 0; Q = 1; } message M { double h = 1; } M i = 7; } \
    message F { E a = 1 [deprecated = true]; }";
/// What a word may become, beside any other word of the texts.
const WORDS: &str = "true false null 0 1 2 3 -1 1.5 1e400 4294967296 18446744073709551616 \"\" {} [] [{}] [\"null\"] \"string\" \"long\" \"float\" \
    \"double\" \"boolean\" \"bytes\" \"$ref\" \"#\" \"#/$defs/a\" \"#/properties/a\" \"type\" \"items\" \"format\" \"$dynamicRef\" \"contains\" \
    \"unevaluatedProperties\" \"propertyNames\" \"else\" \"uniqueItems\" \"exclusiveMinimum\" \"E\" \"n.E\" \"local-timestamp-micros\" \"uuid\" int64 \
    uint32 fixed64 bool float required extend extensions option import \"proto2\" \"a.proto\" public group stream { } [ ] ( ) ; , : = < > . //";

struct Texts {
    all: Vec<(SchemaKind, Vec<String>)>,
    words: Vec<String>,
}

static TEXTS: LazyLock<Texts> = LazyLock::new(|| {
    let ours = Things::schemas().into_iter().filter_map(|schema| schema.registered);
    let mut all: Vec<_> = ours.map(|schema| (schema.kind, words_of(&schema.text))).collect();
    all.extend([
        (SchemaKind::Json, words_of(JSON)),
        (SchemaKind::Avro, words_of(AVRO)),
        (SchemaKind::Protobuf, words_of(PROTO)),
    ]);
    let mut words: Vec<_> = WORDS.split_whitespace().map(str::to_owned).collect();
    words.extend(all.iter().flat_map(|(_, text)| text.iter().cloned()));
    words.dedup();
    Texts { all, words }
});

/// Texts in quotes, names and numbers, and every other sign by itself.
fn words_of(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut left = text;
    while let Some(first) = left.chars().next() {
        let length = match first {
            '"' => left[1..].find('"').map_or(left.len(), |end| end + 2),
            first if first.is_alphanumeric() || first == '_' => {
                left.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(left.len())
            }
            first => first.len_utf8(),
        };
        let (word, rest) = left.split_at(length);
        words.push(word.to_owned());
        left = rest;
    }
    words
}

/// Four bytes are a change: where (two of them), what is done there, with which word.
fn changed(mut text: Vec<String>, changes: &[u8]) -> String {
    for change in changes.chunks_exact(4) {
        let (at, what) = (
            usize::from(u16::from_le_bytes([change[0], change[1]])) % (text.len() + 1),
            change[2],
        );
        let words = &TEXTS.words;
        let word = &words[usize::from(u16::from_le_bytes([change[3], what / 4])) % words.len()];
        match what % 4 {
            0 => text.insert(at, word.clone()),
            1 if at < text.len() => text[at].clone_from(word),
            2 if at < text.len() => drop(text.remove(at)),
            // A part of the text once more.
            _ => {
                let again: Vec<_> = text[at..].iter().take(usize::from(change[3])).cloned().collect();
                text.splice(at..at, again);
            }
        }
        if text.len() > 20_000 {
            break;
        }
    }
    text.concat()
}

fn effects(evolution: &Evolution) -> (Effect, Effect) {
    let all = evolution.differences();
    let worst = |of: fn(&eventferry::schema::evolution::Difference) -> Effect| all.iter().map(of).max().unwrap_or(Effect::Safe);
    (worst(|one| one.backward()), worst(|one| one.forward()))
}

fuzz_target!(|data: &[u8]| {
    let Some(([which, split], changes)) = data.split_first_chunk::<2>() else {
        return;
    };
    let (kind, text) = &TEXTS.all[usize::from(*which) % TEXTS.all.len()];
    let (both, new) = changes.split_at((usize::from(*split) * 4).min(changes.len()));
    let old = changed(text.clone(), both);
    let new = changed(words_of(&old), new);
    let schema = |text: String| Schema::new(*kind, "E", text);
    let (old, new) = (schema(old), schema(new));
    let evolution = compare(&old, &new);
    match (&evolution, compare(&new, &old)) {
        (Ok(there), Ok(back)) => {
            let (backward, forward) = effects(&back);
            assert_eq!(effects(there), (forward, backward), "{there}\n{back}\n{}\n{}", old.text, new.text);
            assert!(!there.to_string().is_empty());
        }
        (Err(error), Err(_)) => assert!(!error.to_string().is_empty()),
        (there, back) => panic!("{there:?} and {back:?}\n{}\n{}", old.text, new.text),
    }
    if let Ok(same) = compare(&old, &old) {
        assert!(same.is_same(), "{same}\n{}", old.text);
    }
});
