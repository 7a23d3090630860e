//! What a shared crate of events costs those who only read them.

use crate::tree;

#[test]
fn a_consumer_has_no_database_no_checker_and_no_runtime_in_its_tree() {
    let crates = tree(&["-p", "eventferry", "--no-default-features", "--features", "derive,json"]);
    for absent in ["sqlx", "sqlx-core", "jsonschema", "tokio", "rdkafka", "rdkafka-sys", "futures-util"] {
        assert!(!crates.contains(&absent.to_owned()), "`{absent}` is in the tree of a consumer");
    }
    assert!(crates.contains(&"schemars".to_owned()), "{crates:?}");
    let mut names = crates;
    names.sort();
    names.dedup();
    // What a user pays to build; a new dependency is a decision and changes this number.
    assert!(names.len() <= 45, "{} crates: {names:?}", names.len());
}

/// The checker of schemas brings the careful way to read floats; who only reads must not be without it.
#[test]
fn a_consumer_reads_the_numbers_that_a_producer_wrote() {
    let consumer = ["--no-default-features", "--features", "derive,json", "--format", "{p} {f}"];
    let tree = std::process::Command::new(env!("CARGO"))
        .args([
            "tree",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--locked",
            "--offline",
            "-p",
            "eventferry",
        ])
        .args(consumer)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo runs");
    let tree = String::from_utf8_lossy(&tree.stdout);
    let reader = tree.lines().find(|line| line.starts_with("serde_json "));
    assert!(reader.is_some_and(|line| line.contains("float_roundtrip")), "{tree}");
}

#[test]
fn a_producer_adds_the_checker_and_its_database_only() {
    let crates = tree(&[
        "-p",
        "eventferry",
        "--no-default-features",
        "--features",
        "derive,json-schema,postgres",
    ]);
    for present in ["sqlx", "jsonschema", "tokio"] {
        assert!(crates.contains(&present.to_owned()), "`{present}` is not in the tree of a producer");
    }
    for absent in ["rdkafka", "rdkafka-sys", "libsqlite3-sys", "sqlx-sqlite", "reqwest", "rustls"] {
        assert!(!crates.contains(&absent.to_owned()), "`{absent}` is in the tree of a producer");
    }
}

#[test]
fn the_shop_s_consumer_shares_the_events_and_none_of_the_producer_s_weight() {
    let consumer = tree(&["-p", "shop-consumer"]);
    assert!(
        consumer.contains(&"shop-events".to_owned()) && consumer.contains(&"rdkafka".to_owned()),
        "{consumer:?}"
    );
    for absent in ["sqlx", "sqlx-core", "jsonschema"] {
        assert!(
            !consumer.contains(&absent.to_owned()),
            "`{absent}` is in the tree of the shop's consumer"
        );
    }
    let producer = tree(&["-p", "shop-producer"]);
    for present in ["shop-events", "sqlx", "jsonschema"] {
        assert!(
            producer.contains(&present.to_owned()),
            "`{present}` is not in the tree of the shop's producer"
        );
    }
}

/// The manifest of a user's crate outside this workspace.
const CONSUMER: &str = r#"
[package]
name = "consumer"
version = "0.0.0"
edition = "2024"

[dependencies]
eventferry = { path = "EVENTFERRY", default-features = false, features = ["derive", "json"] }
schemars = "1"
serde = { version = "1", features = ["derive"] }

[workspace]
"#;

/// What it does: defines events, reads them, and, where `WRITES` stands, writes one.
const EVENTS: &str = r#"
use eventferry::{Message, OpenTransaction, OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
pub struct OrderCreated {
    #[outbox(aggregate_id)]
    pub order_id: u64,
}

define_outbox! {
    pub type ShopEvents;
    #[derive(Debug)]
    pub enum ShopEvent {
        OrderCreated,
    }
}

pub fn read(message: &Message) -> Option<ShopEvent> {
    ShopEvents::new().ok()?.decode(message).ok()
}

pub async fn write(events: &ShopEvents, tx: &mut impl OpenTransaction, event: OrderCreated) {
    WRITES
}
"#;

/// Whether a crate of the user's compiles, and what the compiler said.
fn checks(writes: &str) -> (bool, String) {
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("consumer");
    std::fs::create_dir_all(folder.join("src")).expect("a folder can be made");
    let manifest = CONSUMER.replace("EVENTFERRY", &format!("{workspace}/eventferry"));
    std::fs::write(folder.join("Cargo.toml"), manifest).expect("a file can be written");
    std::fs::write(folder.join("src/lib.rs"), EVENTS.replace("WRITES", writes)).expect("a file can be written");
    // The versions are those of this workspace, so that nothing has to be fetched.
    std::fs::copy(format!("{workspace}/Cargo.lock"), folder.join("Cargo.lock")).expect("the lock file can be copied");
    let output = std::process::Command::new(env!("CARGO"))
        .args(["check", "--offline", "--quiet", "--color=never"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env_remove("RUSTFLAGS")
        .output()
        .expect("cargo runs");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_consumer_compiles_without_the_checker_and_a_writer_is_told_which_feature_it_lacks() {
    let (reads, said) = checks("let _ = (events, tx, event);");
    assert!(reads, "{said}");
    let (writes, said) = checks("let _ = events.enqueue(tx, event).await;");
    assert!(!writes, "an event would be written without having been checked");
    assert!(
        said.contains("`OrderCreated` cannot be written as `eventferry::codec::Json`") && said.contains("the feature `json-schema`"),
        "{said}"
    );
}
