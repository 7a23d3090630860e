//! Documents of a set that has everything a schema can have.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::registry::DocumentInfo;
use crate::{OutboxEvent, define_outbox};

#[derive(Debug, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(crate = crate, topic = "people", aggregate_type = "person", name = "Moved in")]
struct MovedV1 {
    #[outbox(aggregate_id)]
    id: u64,
}

/// Somebody moved in.
///
/// | A table | <b>and</b> a tag
#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(crate = crate, topic = "people", aggregate_type = "person", name = "Moved in", version = 2, upcast_from = MovedV1)]
struct Moved {
    /// Who.
    #[outbox(aggregate_id)]
    #[schemars(range(min = 1, max = 10))]
    id: u64,
    /// Where to.
    #[schemars(extend("x-sensitive" = true))]
    address: Option<Address>,
    tags: Vec<Tag>,
    floors: BTreeMap<String, Floor>,
    paid: Paid,
    pair: (String, u8),
    #[schemars(regex(pattern = "^a|b$"), length(min = 1))]
    code: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Address {
    street: String,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
enum Tag {
    New,
    Old,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Floor {
    above: Option<Box<Floor>>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "how")]
enum Paid {
    Cash { desk: u32 },
    Card { number: String },
}

impl From<MovedV1> for Moved {
    fn from(old: MovedV1) -> Self {
        let paid = Paid::Cash { desk: 0 };
        let (tags, floors, code) = (Vec::new(), BTreeMap::new(), String::new());
        Self {
            id: old.id,
            address: None,
            tags,
            floors,
            paid,
            pair: (String::new(), 0),
            code,
        }
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(crate = crate, topic = "archive", aggregate_type = "person", name = "Moved in")]
struct Archived {
    #[outbox(aggregate_id)]
    id: u64,
}

define_outbox! {
    #[outbox(crate = crate)]
    type PeopleEvents;
    #[derive(Debug)]
    enum PeopleEvent { Moved, Archived }
}

fn info() -> DocumentInfo {
    DocumentInfo::new("People", "1.2").description("Who lives where.")
}

fn document() -> Value {
    serde_json::from_str(&PeopleEvents::asyncapi(&info())).expect("it is JSON")
}

/// Every reference in a document.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value.as_str() {
                    Some(target) if name == "$ref" => found.push(target.to_owned()),
                    _ => references(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_topic_is_a_channel_that_the_latest_versions_are_sent_to() {
    let document = document();
    assert_eq!(
        document["info"],
        json!({ "title": "People", "version": "1.2", "description": "Who lives where." })
    );
    let people = &document["channels"]["people"];
    assert_eq!(people["address"], "people");
    assert_eq!(
        people["messages"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["Moved_in.people.v1", "Moved_in.people.v2"]
    );
    let sent = &document["operations"]["send.people"];
    assert_eq!(
        (&sent["action"], &sent["channel"]["$ref"]),
        (&json!("send"), &json!("#/channels/people"))
    );
    assert_eq!(
        sent["messages"],
        json!([{ "$ref": "#/channels/people/messages/Moved_in.people.v2" }])
    );
    assert_eq!(document["operations"]["send.archive"]["messages"].as_array().unwrap().len(), 1);
}

#[test]
fn a_message_says_its_headers_and_its_payload() {
    let message = &document()["components"]["messages"]["Moved_in.people.v2"];
    assert_eq!(
        (&message["name"], &message["contentType"]),
        (&json!("Moved in"), &json!("application/json"))
    );
    let headers = &message["headers"]["properties"];
    assert_eq!(
        (&headers["event-type"]["const"], &headers["event-version"]["const"]),
        (&json!("Moved in"), &json!("2"))
    );
    assert_eq!(message["payload"]["schemaFormat"], "application/schema+json;version=draft-07");
    let schema = &document()["components"]["schemas"]["Moved_in.people.v2"];
    assert_eq!(schema["properties"]["address"]["x-sensitive"], true);
    assert!(schema.get("$schema").is_none() && schema.get("$defs").is_none());
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 10, "{found:?}");
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}

#[test]
fn the_example_is_valid_under_the_schema_of_the_document() {
    let document = document();
    for (id, message) in document["components"]["messages"].as_object().unwrap() {
        // As a whole document, so that references lead where they say.
        let mut whole = document.clone();
        whole["$ref"] = message["payload"]["schema"]["$ref"].clone();
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft201909)
            .build(&whole)
            .unwrap();
        let example = &message["examples"][0]["payload"];
        assert!(example.is_object() && validator.is_valid(example), "{id}: {example}");
        assert!(!validator.is_valid(&json!({})), "{id}");
    }
}

#[test]
fn the_catalogue_lists_every_member_with_its_rules() {
    let catalogue = PeopleEvents::catalogue(&info());
    for line in [
        "# People",
        "Version 1.2. Who lives where.",
        "| Moved in | `people` | 2 | 1 | `application/json` |",
        "| Moved in | `archive` | 1 |  | `application/json` |",
        "## Topic `people`",
        "### Moved in",
        "| `id` | integer (uint64) | yes | at least 1, at most 10 |  | Who. |",
        "| `address` | object or null | yes |  | **personal** | Where to. |",
        "| `address.street` | string | yes |  | **personal** |  |",
        "| `tags[]` | string |  | one of `\"New\"`, `\"Old\"` |  |  |",
        "| `floors.*` | object |  |  |  |  |",
        "| `paid` | one of 2 forms | yes |  |  |  |",
        "| `paid (form 1).desk` | integer (uint32) | yes | at least 0 |  |  |",
        "| `paid (form 2).number` | string | yes |  |  |  |",
        "| `pair[1]` | integer (uint8) | yes | at least 0, at most 255 |  |  |",
        "| `code` | string | yes | characters at least 1, matches `^a\\|b$` |  |  |",
    ] {
        assert!(catalogue.lines().any(|one| one == line), "{line} is not in\n{catalogue}");
    }
    assert!(!catalogue.contains("above.above.above"), "a schema within itself has an end");
    // Every row of a table has as many cells as its head.
    let mut columns = 0;
    for line in catalogue.lines() {
        let bars = line.replace("\\|", "").matches('|').count();
        assert!(!line.starts_with("| ") || columns == 0 || bars == columns, "{line}");
        columns = if line.starts_with('|') { bars } else { 0 };
    }
}
