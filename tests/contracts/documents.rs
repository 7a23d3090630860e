//! What the shop publishes, written down: its AsyncAPI document and its catalogue are committed, and the official parser takes the document.

use std::path::{Path, PathBuf};
use std::process::Command;

use eventferry::registry::DocumentInfo;
use eventferry_tests::servers;
use shop_events::ShopEvents;

fn info() -> DocumentInfo {
    DocumentInfo::new("The shop", "1.0.0").description("Orders of the shop, from the moment they are placed.")
}

#[test]
fn the_shop_s_asyncapi_document_is_committed() {
    crate::assert_committed("schemas/shop-event/asyncapi.json", &ShopEvents::asyncapi(&info()));
}

#[test]
fn the_shop_s_catalogue_is_committed() {
    crate::assert_committed("schemas/shop-event/catalogue.md", &ShopEvents::catalogue(&info()));
}

/// What the official parser says of documents; none where it is not there.
fn parsed(documents: &[(&str, String)]) -> Option<String> {
    let home = servers::require("asyncapi")?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("asyncapi-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    let paths: Vec<PathBuf> = documents.iter().map(|(name, _)| folder.join(name)).collect();
    for (path, (_, text)) in paths.iter().zip(documents) {
        std::fs::write(path, text).expect("a file can be written");
    }
    let output = Command::new("node")
        .arg(crate::project_file("tests/contracts/asyncapi/check.mjs"))
        .arg(home)
        .args(&paths)
        .output()
        .expect("node runs");
    std::fs::remove_dir_all(&folder).expect("the folder can be removed");
    let text = [output.stdout, output.stderr].concat();
    Some(String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn the_official_parser_takes_every_document_and_no_broken_one() {
    let whole = ShopEvents::asyncapi(&info());
    let broken = |from: &str, to: &str| {
        let broken = whole.replace(from, to);
        assert_ne!(broken, whole, "{from}");
        broken
    };
    let documents = [
        #[cfg(all(feature = "avro", feature = "protobuf"))]
        ("mixed", crate::mixed::MixedEvents::asyncapi(&DocumentInfo::new("Mixed", "2"))),
        ("shop", whole.clone()),
        ("everything", everything::Events::asyncapi(&DocumentInfo::new("Everything", "2"))),
        (
            "nowhere",
            broken("#/components/messages/OrderPaid.v1", "#/components/messages/Gone.v1"),
        ),
        ("whole", broken("\"type\": \"integer\"", "\"type\": \"whole\"")),
        ("shout", broken("\"action\": \"send\"", "\"action\": \"shout\"")),
    ];
    let Some(text) = parsed(&documents) else { return };
    for expected in [
        #[cfg(all(feature = "avro", feature = "protobuf"))]
        "mixed is taken: 1 channels, 5 messages, 5 payloads",
        "shop is taken: 1 channels, 3 messages, 3 payloads",
        "everything is taken: 2 channels, 4 messages, 4 payloads",
        "nowhere is refused",
        "whole is refused",
        "shout is refused",
    ] {
        assert!(text.lines().any(|line| line == expected), "`{expected}` is not in\n{text}");
    }
}

/// A set with everything that a schema can have.
mod everything {
    use std::collections::BTreeMap;

    use eventferry::{OutboxEvent, define_outbox};
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(topic = "people", aggregate_type = "person", name = "Moved in / out")]
    pub(super) struct MovedV1 {
        #[outbox(aggregate_id)]
        id: u64,
    }

    /// Somebody moved.
    #[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(topic = "people", aggregate_type = "person", name = "Moved in / out", version = 2, upcast_from = MovedV1)]
    pub(super) struct Moved {
        #[outbox(aggregate_id)]
        #[schemars(range(min = 1, max = 10))]
        id: u64,
        #[schemars(extend("x-sensitive" = true))]
        address: Option<Address>,
        tags: Vec<Tag>,
        floors: BTreeMap<String, Floor>,
        by_number: BTreeMap<u32, f64>,
        paid: Paid,
        pair: (String, u8),
        #[schemars(regex(pattern = r"^[a-z]{3}$"))]
        code: String,
        anything: serde_json::Value,
        #[serde(flatten)]
        more: BTreeMap<String, bool>,
    }

    #[derive(Debug, Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Address {
        street: String,
    }

    #[derive(Debug, Serialize, Deserialize, JsonSchema)]
    enum Tag {
        /// A remark on a value.
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
            Self {
                id: old.id,
                address: None,
                tags: Vec::new(),
                floors: BTreeMap::new(),
                by_number: BTreeMap::new(),
                paid: Paid::Cash { desk: 0 },
                pair: (String::new(), 0),
                code: String::new(),
                anything: serde_json::Value::Null,
                more: BTreeMap::new(),
            }
        }
    }

    /// Several forms as a whole.
    #[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(topic = "archive", aggregate_type = "person", name = "Moved in / out", aggregate_id = self.id())]
    pub(super) enum Archived {
        One { id: u64 },
        Other(u64),
    }

    impl Archived {
        fn id(&self) -> u64 {
            match self {
                Self::One { id } | Self::Other(id) => *id,
            }
        }
    }

    #[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
    #[outbox(topic = "archive", aggregate_type = "person")]
    pub(super) struct Empty {
        #[outbox(aggregate_id)]
        #[schemars(with = "String")]
        id: String,
    }

    define_outbox! {
        pub(super) type Events;
        #[derive(Debug)]
        pub(super) enum Event { Moved, Archived, Empty }
    }
}
