//! The book and the documents of events in every format.

use std::path::{Path, PathBuf};

use eventferry::Message;
use eventferry::registry::DocumentInfo;
use eventferry::registry::book::{BookError, BookMode, Finding, FindingKind as Kind};

use crate::mixed::{MixedEvents, Price};

/// A folder that goes with the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(test: &str) -> Self {
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
        pub(crate) mod $name {
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
                pub(crate) type ShopEvents;
                #[derive(Debug)]
                pub(crate) enum ShopEvent { OrderPlaced }
            }
        }
    };
}

code! { first "contracts/protos/first.proto" { #[prost(int64, tag = "2")] total_cents: i64, } }
code! { added "contracts/protos/added.proto" { #[prost(int64, tag = "2")] total_cents: i64, #[prost(string, tag = "4")] note: String, } }
code! { removed "contracts/protos/removed.proto" {} }
code! { narrow "contracts/protos/narrow.proto" { #[prost(int32, tag = "2")] total_cents: i32, } }
code! { another "contracts/protos/another.proto" { #[prost(string, tag = "2")] total_cents: String, } }

/// The next version of `first`.
mod second {
    use eventferry::define_outbox;

    use crate::mixed::OrderPlaced;

    define_outbox! {
        pub(crate) type ShopEvents;
        #[derive(Debug)]
        pub(crate) enum ShopEvent { OrderPlaced }
    }
}

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

/// The number of cents was 32 bits wide once.
#[test]
fn a_protobuf_change_that_only_new_readers_understand_is_backward_compatible_and_its_reverse_needs_a_version() {
    let folder = Folder::new("widened");
    assert_eq!(folder.check(narrow::ShopEvents::check_book, BookMode::Write).0, []);
    let (found, text) = folder.check(first::ShopEvents::check_book, BookMode::Compare);
    assert_eq!(found, [Kind::Changed], "{text}");
    assert!(
        text.contains("the change is backward compatible, not forward compatible\n     `/total_cents` type was int32, is int64"),
        "{text}"
    );
    assert!(
        text.contains("older readers cannot read what is written now") && !text.contains("what was written before is not read"),
        "{text}"
    );
    let (found, text) = folder.check(first::ShopEvents::check_book, BookMode::Write);
    assert_eq!(found, [], "{text}");
    assert!(text.contains("OrderPlaced.v1.proto"), "{text}");

    for mode in [BookMode::Compare, BookMode::Write] {
        let (found, text) = folder.check(narrow::ShopEvents::check_book, mode);
        assert_eq!(found, [Kind::NeedsVersion], "{text}");
        assert!(
            text.contains("the change is forward compatible, not backward compatible\n     `/total_cents` type was int64, is int32"),
            "{text}"
        );
        assert!(
            text.contains("what was written before is not read any more") && !text.contains("older readers cannot read"),
            "{text}"
        );
    }
    assert_eq!(
        folder.check(first::ShopEvents::check_book, BookMode::Compare).0,
        [],
        "the book is as it was"
    );
}

#[test]
fn payloads_of_the_first_protobuf_version_are_read_through_its_upcast() {
    let folder = Folder::new("second");
    assert_eq!(folder.check(first::ShopEvents::check_book, BookMode::Write).0, []);
    let (found, text) = folder.check(second::ShopEvents::check_book, BookMode::Compare);
    assert_eq!(found, [Kind::Missing, Kind::NoPayload], "{text}");
    let (found, text) = folder.check(second::ShopEvents::check_book, BookMode::Write);
    assert_eq!(found, [], "{text}");
    assert!(text.lines().all(|file| file.contains("OrderPlaced.v2.")), "{text}");
    assert_eq!(folder.check(second::ShopEvents::check_book, BookMode::Compare).0, []);

    // The golden payload of version 1, as the event of version 2.
    let text = std::fs::read_to_string(folder.0.join("shop-event/OrderPlaced.v1.payload.hex")).expect("it was written");
    let digits = text
        .lines()
        .flat_map(|line| line.split('|').next().unwrap_or_default().split_whitespace());
    let bytes: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal text")).collect();
    let message = Message::new("orders", bytes)
        .with_header("event-type", "OrderPlaced")
        .with_header("event-version", "1");
    let events = second::ShopEvents::new().expect("the schemas are right");
    let second::ShopEvent::OrderPlaced(placed) = events.decode(&message).expect("it is read");
    assert_eq!(
        (placed.order_id.as_str(), placed.skus.as_slice()),
        ("order_id", &["sku".to_owned()][..])
    );
    let euros = Price {
        cents: 1,
        currency: "EUR".to_owned(),
    };
    assert_eq!(placed.price, Some(euros));

    // A way up that is lost, and a payload of the wrong form: neither is a matter of schemas.
    let wrong = [("payload", "0a ff"), ("payload.returned", "10 ff ff ff ff ff ff ff ff ff 01")];
    for (name, bytes) in wrong {
        std::fs::write(folder.0.join(format!("shop-event/OrderPlaced.v1.{name}.hex")), bytes).expect("it can be written");
    }
    for mode in [BookMode::Compare, BookMode::Write] {
        let (found, text) = folder.check(second::ShopEvents::check_book, mode);
        assert_eq!(found, [Kind::Undecodable, Kind::Undecodable], "{text}");
        for (name, _) in wrong {
            let says = format!("`OrderPlaced.v1.{name}.hex` no longer reads as `OrderPlaced`");
            assert!(text.contains(&says), "{text}");
        }
    }
}

#[test]
fn the_documents_of_every_format_say_which_it_is() {
    let info = DocumentInfo::new("Mixed", "1");
    let document: serde_json::Value = serde_json::from_str(&MixedEvents::asyncapi(&info)).expect("it is JSON");
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
}

#[test]
fn the_catalogue_lists_the_members_of_every_format() {
    let catalogue = catalogued::ListedEvents::catalogue(&DocumentInfo::new("Listed", "1"));
    for line in [
        "An order was paid.",
        "| `id` | long | yes |  |  | Whose it is. |",
        "| `email` | string or null | yes | by default `null` | **personal** | Where the receipt goes. |",
        "| `status` | enum Status | yes | one of `New`, `Paid` |  |  |",
        "| `lines` | array | yes |  |  |  |",
        "| `lines[]` | record Line |  |  |  |  |",
        "| `lines[].price` | bytes (decimal) | yes | digits at most 6, 2 of them behind the point |  |  |",
        "| `lines[].next` | record Line or null | yes | by default `null` |  |  |",
        "| `cards.*` | record Card |  |  | **personal** | A card. |",
        "| `cards.*.number` | string | yes |  | **personal** |  |",
        "| `how` | one of 2 forms | yes |  |  |  |",
        "| `how (form 1)` | record Cash |  |  |  |  |",
        "| `how (form 2).iban` | string | yes |  | **personal** |  |",
        "An order was seen. | <b>",
        "| `id` | int64 | yes | field 1 |  | Whose it is. |",
        "| `email` | string | yes | field 2 | **personal** | Where the receipt goes. |",
        "| `lines` | repeated message Line |  | field 3 |  | What was ordered, and behind it a \\| bar. |",
        "| `lines[].sku` | string |  | field 1 |  |  |",
        "| `lines[].next` | message Line |  | field 2 |  |  |",
        "| `counts` | map of string to uint64 |  | field 4 |  |  |",
        "| `cards` | map of string to message Card |  | field 5 | **personal** |  |",
        "| `cards.*.number` | string | yes | field 1 | **personal** |  |",
        "| `cash` | bool |  | field 6, one at most of `how` |  |  |",
        "| `status` | enum Status | yes | field 7, one of `NEW`, `PAID` |  |  |",
        "| `at` | message Timestamp |  | field 8 |  |  |",
        "| `codes` | repeated fixed32 |  | field 9 |  |  |",
    ] {
        assert!(catalogue.lines().any(|one| one == line), "{line} is not in\n{catalogue}");
    }
    assert!(
        !catalogue.contains("next.sku") && !catalogue.contains("at.seconds") && !catalogue.contains("x-sensitive"),
        "{catalogue}"
    );
    // Every row of a table has as many cells as its head.
    for line in catalogue.lines().filter(|line| line.starts_with("| `")) {
        assert_eq!(line.replace("\\|", "").matches('|').count(), 7, "{line}");
    }
}

/// Everything that a schema can say, in Avro and in Protobuf.
mod catalogued {
    use std::collections::HashMap;

    use apache_avro::AvroSchema;
    use eventferry::codec::avro::logical::Decimal;
    use eventferry::{OutboxEvent, define_outbox};
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Serialize, Deserialize, AvroSchema)]
    enum Status {
        New,
        Paid,
    }

    #[derive(Debug, Serialize, Deserialize, AvroSchema)]
    struct Line {
        price: Decimal<6, 2>,
        next: Option<Box<Line>>,
    }

    /// A card.
    ///
    /// x-sensitive
    #[derive(Debug, Serialize, Deserialize, AvroSchema)]
    struct Card {
        number: String,
    }

    #[derive(Debug, Serialize, Deserialize, AvroSchema)]
    enum How {
        Cash {
            desk: i32,
        },
        Bank {
            /// x-sensitive
            iban: String,
        },
    }

    /// An order was paid.
    #[derive(Debug, Serialize, Deserialize, AvroSchema, OutboxEvent)]
    #[avro(namespace = "shop")]
    #[outbox(topic = "orders", aggregate_type = "order", format = "avro")]
    pub(super) struct OrderPaid {
        /// Whose it is.
        #[outbox(aggregate_id)]
        id: i64,
        /// Where the receipt goes.
        /// x-sensitive
        email: Option<String>,
        status: Status,
        lines: Vec<Line>,
        cards: HashMap<String, Card>,
        how: How,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct ProtoLine {
        #[prost(string, optional, tag = "1")]
        sku: Option<String>,
        #[prost(message, optional, boxed, tag = "2")]
        next: Option<Box<ProtoLine>>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct ProtoCard {
        #[prost(string, tag = "1")]
        number: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Time {
        #[prost(int64, tag = "1")]
        seconds: i64,
        #[prost(int32, tag = "2")]
        nanos: i32,
    }

    #[derive(Clone, PartialEq, prost::Oneof)]
    enum Paid {
        #[prost(bool, tag = "6")]
        Cash(bool),
    }

    #[derive(Clone, PartialEq, prost::Message, OutboxEvent)]
    #[outbox(
        topic = "orders",
        aggregate_type = "order",
        format = "protobuf",
        schema = "contracts/protos/listed.proto"
    )]
    pub(super) struct OrderSeen {
        #[outbox(aggregate_id)]
        #[prost(int64, tag = "1")]
        id: i64,
        #[prost(string, tag = "2")]
        email: String,
        #[prost(message, repeated, tag = "3")]
        lines: Vec<ProtoLine>,
        #[prost(map = "string, uint64", tag = "4")]
        counts: HashMap<String, u64>,
        #[prost(map = "string, message", tag = "5")]
        cards: HashMap<String, ProtoCard>,
        #[prost(oneof = "Paid", tags = "6")]
        how: Option<Paid>,
        #[prost(int32, tag = "7")]
        status: i32,
        #[prost(message, optional, tag = "8")]
        at: Option<Time>,
        #[prost(fixed32, repeated, tag = "9")]
        codes: Vec<u32>,
    }

    define_outbox! {
        pub(super) type ListedEvents;
        #[derive(Debug)]
        pub(super) enum ListedEvent { OrderPaid, OrderSeen }
    }
}
