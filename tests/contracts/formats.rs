//! The book and the documents of events in every format.

use std::path::{Path, PathBuf};

use eventferry::registry::DocumentInfo;
use eventferry::registry::book::{BookError, BookMode, Finding, FindingKind as Kind};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("book-{test}-{}", std::process::id()));
        Self(folder)
    }

    fn check(&self, of: fn(&Path, BookMode) -> Result<Vec<PathBuf>, BookError>, mode: BookMode) -> (Vec<Kind>, String) {
        match of(&self.0, mode) {
            Ok(written) => (
                Vec::new(),
                written.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join("\n"),
            ),
            Err(error) => (error.findings().iter().map(Finding::kind).collect(), error.to_string()),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A state of the code: an event by its file and fields.
macro_rules! code {
    ($name:ident $file:literal { $($fields:tt)* }) => {
        mod $name {
            use eventferry::{OutboxEvent, define_outbox};

            #[derive(Clone, PartialEq, prost::Message)]
            pub(crate) struct Line {
                #[prost(string, tag = "1")]
                sku: String,
            }

            #[derive(Clone, PartialEq, prost::Message, OutboxEvent)]
            #[outbox(topic = "orders", aggregate_type = "order", format = "protobuf", schema = $file)]
            pub(crate) struct OrderPlaced {
                #[outbox(aggregate_id)]
                #[prost(string, tag = "1")]
                order_id: String,
                #[prost(message, repeated, tag = "3")]
                lines: Vec<Line>,
                $($fields)*
            }

            define_outbox! {
                pub(super) type ShopEvents;
                #[derive(Debug)]
                pub(super) enum ShopEvent { OrderPlaced }
            }
        }
    };
}

code! { first "contracts/protos/first.proto" { #[prost(int64, tag = "2")] total_cents: i64, } }
code! { added "contracts/protos/added.proto" { #[prost(int64, tag = "2")] total_cents: i64, #[prost(string, tag = "4")] note: String, } }
code! { removed "contracts/protos/removed.proto" {} }
code! { another "contracts/protos/another.proto" { #[prost(string, tag = "2")] total_cents: String, } }

#[test]
fn a_book_of_protobuf_events_is_written_and_agrees() {
    let folder = Folder::new("protobuf");
    let (found, text) = folder.check(first::ShopEvents::check_book, BookMode::Write);
    assert_eq!(found, [], "{text}");
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(
        text.contains("OrderPlaced.v1.proto") && text.contains("OrderPlaced.v1.payload.hex"),
        "{text}"
    );
    let (found, text) = folder.check(first::ShopEvents::check_book, BookMode::Compare);
    assert_eq!(found, [], "{text}");
    let payload = std::fs::read_to_string(folder.0.join("shop-event/OrderPlaced.v1.payload.hex")).expect("it was written");
    assert!(
        payload.starts_with("0a 08 6f 72 64 65 72 5f 69 64 10 01 1a 05 0a 03 | ..order_id"),
        "{payload}"
    );
}

#[test]
fn a_protobuf_message_may_win_and_lose_fields_and_keeps_the_numbers_of_the_others() {
    let folder = Folder::new("fields");
    assert_eq!(folder.check(first::ShopEvents::check_book, BookMode::Write).0, []);
    let (found, text) = folder.check(another::ShopEvents::check_book, BookMode::Compare);
    // The old payload does not read as the new type either, but the schema is the reason.
    assert_eq!(found, [Kind::NeedsVersion], "{text}");
    assert_eq!(
        folder.check(another::ShopEvents::check_book, BookMode::Write).0,
        [Kind::NeedsVersion]
    );

    let (found, text) = folder.check(added::ShopEvents::check_book, BookMode::Compare);
    assert_eq!(found, [Kind::Changed], "{text}");
    assert!(text.contains("fully compatible") && text.contains("+   string note = 4;"), "{text}");
    let (found, text) = folder.check(added::ShopEvents::check_book, BookMode::Write);
    assert!(found.is_empty() && text.contains("OrderPlaced.v1.payload.revision-2.hex"), "{text}");

    // Payloads with the field are in the book, and are read past it.
    let folder = Folder::new("removed");
    assert_eq!(folder.check(first::ShopEvents::check_book, BookMode::Write).0, []);
    let (found, text) = folder.check(removed::ShopEvents::check_book, BookMode::Compare);
    assert_eq!(found, [Kind::Changed], "{text}");
    let (found, text) = folder.check(removed::ShopEvents::check_book, BookMode::Write);
    assert_eq!(found, [], "{text}");
}

/// A set of every format, for the documents.
pub(crate) mod mixed {
    use apache_avro::AvroSchema;
    use eventferry::{OutboxEvent, define_outbox};
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    use super::first;

    #[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(topic = "orders", aggregate_type = "order")]
    pub(crate) struct OrderNoted {
        #[outbox(aggregate_id)]
        id: u64,
    }

    /// An order was paid.
    #[derive(Debug, Serialize, Deserialize, AvroSchema, OutboxEvent)]
    #[avro(namespace = "shop")]
    #[outbox(topic = "orders", aggregate_type = "order", format = "avro")]
    pub(crate) struct OrderPaid {
        #[outbox(aggregate_id)]
        id: i64,
        note: Option<String>,
    }

    define_outbox! {
        pub(crate) type MixedEvents;
        #[derive(Debug)]
        pub(crate) enum MixedEvent { OrderNoted, OrderPaid, Placed(first::OrderPlaced) }
    }
}

#[test]
fn the_documents_of_every_format_say_which_it_is() {
    let info = DocumentInfo::new("Mixed", "1");
    let document: serde_json::Value = serde_json::from_str(&mixed::MixedEvents::asyncapi(&info)).expect("it is JSON");
    let payload = |id: &str| document["components"]["messages"][id]["payload"].clone();
    assert_eq!(
        payload("OrderPaid.v1")["schemaFormat"],
        "application/vnd.apache.avro+json;version=1.9.0"
    );
    assert_eq!(payload("OrderPaid.v1")["schema"]["name"], "OrderPaid");
    assert_eq!(
        payload("OrderPlaced.v1")["schemaFormat"],
        "application/vnd.google.protobuf;version=3"
    );
    assert!(
        payload("OrderPlaced.v1")["schema"]
            .as_str()
            .is_some_and(|text| text.starts_with("syntax"))
    );
    let catalogue = mixed::MixedEvents::catalogue(&info);
    assert!(
        catalogue.contains("````proto\nsyntax = \"proto3\";") && catalogue.contains("````avsc\n{"),
        "{catalogue}"
    );
}
