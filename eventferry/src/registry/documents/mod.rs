//! What a set publishes, written down for people and for tools: an AsyncAPI document and a catalogue in Markdown.
//!
//! Both are made of what the set knows and nothing else, and come out the same for the same set: commit them, and compare them in a test.

mod asyncapi;
mod catalogue;
mod draft07;
mod proto;
#[cfg(all(test, feature = "derive"))]
mod tests;
mod words;

use crate::registry::{EventSet, Outbox};

/// What a document says of the whole.
#[cfg_attr(all(feature = "derive", feature = "json"), doc = include_str!("../examples/document_info.md"))]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentInfo {
    title: String,
    version: String,
    description: Option<String>,
}

impl DocumentInfo {
    /// The title of a document, and the version of what it describes, as its owners count it.
    pub fn new(title: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            version: version.into(),
            description: None,
        }
    }

    /// A few sentences about it, which may be Markdown.
    #[must_use = "the info is returned, not changed in place"]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }
}

impl<S: EventSet> Outbox<S> {
    /// What the set publishes, as an AsyncAPI 3.0 document in JSON.
    ///
    /// A channel for each topic, a message for each version of each event with its headers and its payload's schema, and an operation that
    /// sends for each topic, with the latest version of each event: earlier versions are in the channel, because they may still be read.
    /// Schemas are in their own language; JSON Schema, which AsyncAPI knows as draft 7, is brought to that draft.
    #[cfg_attr(feature = "derive", doc = include_str!("../examples/asyncapi.md"))]
    pub fn asyncapi(info: &DocumentInfo) -> String {
        asyncapi::document::<S>(info)
    }

    /// What the set publishes, as a catalogue in Markdown: the events by topic, their versions, and what their payloads hold, member by member
    /// with rules and remarks. What is marked as personal ([`masked`](Self::masked) says how) is shown as that.
    ///
    /// Members are listed for JSON, Avro and Protobuf; for a format of your own the schema is shown as it is.
    #[cfg_attr(feature = "derive", doc = include_str!("../examples/catalogue.md"))]
    pub fn catalogue(info: &DocumentInfo) -> String {
        catalogue::document::<S>(info)
    }
}
