//! A set as an AsyncAPI 3.0 document.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::codec::{Contract, EventSchema, Version};
use crate::event::headers;
use crate::registry::EventSet;
use crate::registry::book::example;
use crate::registry::documents::draft07::{Draft07, plain};
use crate::registry::documents::{DocumentInfo, proto};
use crate::schema::SchemaKind;

/// Where schemas stand that several places refer to.
const SCHEMAS: &str = "#/components/schemas/";

pub(super) fn document<S: EventSet>(info: &DocumentInfo) -> String {
    let messages = messages::<S>();
    let mut channels = Map::new();
    let mut operations = Map::new();
    for topic in topics(&messages) {
        let on_topic = || messages.iter().filter(|message| message.schema.topic == topic);
        let all: Map<String, Value> = on_topic()
            .map(|message| {
                (
                    message.id.clone(),
                    json!({ "$ref": format!("#/components/messages/{}", message.id) }),
                )
            })
            .collect();
        let in_channel = |message: &Message| json!({ "$ref": format!("#/channels/{topic}/messages/{}", message.id) });
        let sent: Vec<Value> = on_topic().filter(|message| message.is_latest()).map(in_channel).collect();
        channels.insert(topic.to_owned(), json!({ "address": topic, "messages": all }));
        if !sent.is_empty() {
            let operation = json!({
                "action": "send",
                "channel": { "$ref": format!("#/channels/{topic}") },
                "messages": sent,
            });
            operations.insert(format!("send.{topic}"), operation);
        }
    }
    let mut schemas = Map::new();
    let messages: Map<String, Value> = messages
        .iter()
        .map(|message| (message.id.clone(), message.describe(&mut schemas)))
        .collect();
    let mut about = json!({ "title": info.title, "version": info.version });
    if let Some(description) = &info.description {
        about["description"] = json!(description);
    }
    let mut components = json!({ "messages": messages });
    if !schemas.is_empty() {
        components["schemas"] = Value::Object(schemas);
    }
    let mut document = json!({
        "asyncapi": "3.0.0",
        "info": about,
        "channels": channels,
        "operations": operations,
        "components": components,
    });
    // One order, whatever features of `serde_json` a build happens to have on.
    document.sort_all_objects();
    format!("{document:#}\n")
}

/// One version of one event.
struct Message {
    /// What it is called in the document.
    id: String,
    /// The latest version of the event.
    latest: u32,
    schema: EventSchema,
    /// A payload that a writer's checks let through.
    example: Option<Value>,
}

impl Message {
    fn is_latest(&self) -> bool {
        self.schema.version == self.latest
    }

    /// The message, with the schemas that it refers to added to `schemas`.
    fn describe(&self, schemas: &mut Map<String, Value>) -> Value {
        let EventSchema { name, version, .. } = self.schema;
        let mut message = json!({
            "name": name,
            "title": format!("{name} version {version}"),
            "contentType": self.schema.content_type,
            "headers": self.headers(),
            "x-event-version": version,
        });
        if !self.is_latest() {
            message["summary"] = json!(format!("An earlier version, no longer written; the latest is {}.", self.latest));
        }
        let Some(schema) = &self.schema.registered else { return message };
        let parsed = || serde_json::from_str::<Value>(&schema.text).ok();
        let (format, payload) = match schema.kind {
            SchemaKind::Json => {
                let Some(parsed) = parsed() else { return message };
                if let Some(description) = parsed.get("description") {
                    message["description"] = description.clone();
                }
                if let Some(example) = &self.example {
                    message["examples"] = json!([{ "payload": example }]);
                }
                schemas.extend(
                    Draft07 {
                        name: &self.id,
                        place: SCHEMAS,
                    }
                    .convert(&parsed),
                );
                (
                    "application/schema+json;version=draft-07",
                    json!({ "$ref": format!("{SCHEMAS}{}", self.id) }),
                )
            }
            SchemaKind::Avro => match parsed() {
                Some(parsed) => ("application/vnd.apache.avro+json;version=1.9.0", parsed),
                None => return message,
            },
            SchemaKind::Protobuf => ("application/vnd.google.protobuf;version=3", json!(proto::marked(schema))),
        };
        message["payload"] = json!({ "schemaFormat": format, "schema": payload });
        message
    }

    /// The headers as they are on the wire, all of them texts.
    fn headers(&self) -> Value {
        let text = |what: &str| json!({ "type": "string", "description": what });
        let constant = |value: String| json!({ "type": "string", "const": value });
        let mut time = text("When the event was written.");
        time["format"] = json!("date-time");
        let mut id = text("The event's identity, the same on every redelivery.");
        id["format"] = json!("uuid");
        let all: BTreeMap<&str, Value> = [
            (headers::MESSAGE_ID, id),
            (headers::EVENT_TYPE, constant(self.schema.name.to_owned())),
            (headers::EVENT_VERSION, constant(self.schema.version.to_string())),
            (headers::CONTENT_TYPE, constant(self.schema.content_type.to_owned())),
            (headers::AGGREGATE_TYPE, text("The kind of aggregate the event is about.")),
            (headers::AGGREGATE_ID, text("Which aggregate of its type the event is about.")),
            (
                headers::EVENT_POSITION,
                text("The position in the outbox, in decimal; it grows within one `event-source`."),
            ),
            (headers::EVENT_SOURCE, text("Which outbox on which server the position belongs to.")),
            (headers::EVENT_TIME, time),
            (
                headers::EVENT_ORDER,
                text("`none` where the event left its place in the order of its aggregate."),
            ),
            (headers::TRACEPARENT, text("W3C Trace Context.")),
            (headers::TRACESTATE, text("W3C Trace Context, the vendors' part.")),
            (headers::TRACE_ID, text("The trace id alone.")),
        ]
        .into();
        let required = [
            headers::MESSAGE_ID,
            headers::EVENT_TYPE,
            headers::EVENT_VERSION,
            headers::CONTENT_TYPE,
            headers::AGGREGATE_TYPE,
            headers::AGGREGATE_ID,
        ];
        json!({ "type": "object", "properties": all, "required": required })
    }
}

/// Every version of every event, each under a name of its own.
fn messages<S: EventSet>() -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    for entry in S::ENTRIES {
        let several = S::ENTRIES.iter().filter(|other| plain(other.name()) == plain(entry.name())).count() > 1;
        let mut versions = Vec::new();
        (entry.history)(&mut versions);
        for version in &versions {
            let schema = version.export();
            let name = plain(schema.name);
            let name = if several { format!("{name}.{}", entry.topic()) } else { name };
            let mut id = format!("{name}.v{}", schema.version);
            while messages.iter().any(|other| other.id == id) {
                id.push('_');
            }
            messages.push(Message {
                id,
                latest: entry.version(),
                example: example(version, &schema),
                schema,
            });
        }
    }
    messages
}

fn example(version: &Version, schema: &EventSchema) -> Option<Value> {
    let is_json = schema.registered.as_ref().is_some_and(|schema| schema.kind == SchemaKind::Json);
    let value = is_json
        .then(|| example::value(&serde_json::from_str(&schema.text).ok()?))
        .flatten()?;
    let checker = (version.checker)(Contract::Written).ok()?;
    checker
        .is_none_or(|checker| checker.check(value.to_string().as_bytes()).is_ok())
        .then_some(value)
}

/// The topics, each once, in the order of the set.
fn topics(messages: &[Message]) -> Vec<&'static str> {
    let mut topics = Vec::new();
    for message in messages {
        if !topics.contains(&message.schema.topic) {
            topics.push(message.schema.topic);
        }
    }
    topics
}
