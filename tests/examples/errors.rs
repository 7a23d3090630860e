//! What a user sees when something outside is wrong: one error with its cause, no panic, no secret.

use std::error::Error;

use eventferry::TableName;
use eventferry::publish::memory::MemoryPublisher;
use eventferry::relay::Relay;
use eventferry::store::postgres::PostgresStore;
use eventferry_tests::servers;
use sqlx::PgPool;

use crate::{example, text};

/// Runs `postgres_to_kafka` where something is wrong, and compares the lines on stderr.
fn complains(addresses: &[(&str, &str)], expected: &[&str]) {
    let output = example("postgres_to_kafka", &[], addresses);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(!said.contains("panicked") && !said.contains("hunter2"), "{said}");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.iter().filter(|line| line.starts_with("error: ")).count(), 1, "{said}");
    for part in expected {
        assert!(said.contains(part), "no `{part}` in\n{said}");
    }
}

#[test]
fn no_address() {
    complains(
        &[("EVENTFERRY_PG_URL", "postgres://x@127.0.0.1:1/x"), ("EVENTFERRY_KAFKA", "")],
        &["error: EVENTFERRY_KAFKA is not set", "tests/run"],
    );
}

#[test]
fn an_unreachable_broker() {
    complains(
        &[
            ("EVENTFERRY_PG_URL", "postgres://x:hunter2@127.0.0.1:1/x"),
            ("EVENTFERRY_KAFKA", "127.0.0.1:1"),
        ],
        &["error: failed to prepare topics on Kafka at `127.0.0.1:1`", "  because: "],
    );
}

#[test]
fn an_address_that_is_none() {
    complains(
        &[
            ("EVENTFERRY_PG_URL", "postgres://x:hunter2@127.0.0.1:no-port/x"),
            ("EVENTFERRY_KAFKA", "127.0.0.1:1"),
        ],
        &["error: EVENTFERRY_PG_URL is not an address such as"],
    );
}

#[test]
fn an_unreachable_database() {
    let Some(kafka) = servers::require("kafka") else { return };
    complains(
        &[
            ("EVENTFERRY_PG_URL", "postgres://x:hunter2@127.0.0.1:1/x"),
            ("EVENTFERRY_KAFKA", &kafka),
        ],
        &["error: failed to connect to PostgreSQL at `127.0.0.1:1`", "Connection refused"],
    );
}

#[test]
fn a_wrong_password() {
    let (Some(url), Some(kafka)) = (servers::require("postgres-password"), servers::require("kafka")) else {
        return;
    };
    complains(
        &[("EVENTFERRY_PG_URL", &url), ("EVENTFERRY_KAFKA", &kafka)],
        &["error: failed to connect to PostgreSQL at", "password authentication failed"],
    );
}

/// An error and its causes, as a program prints them.
fn chain(error: &dyn Error) -> String {
    let mut said = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        said.push(cause.to_string());
        source = cause.source();
    }
    said.join("\n")
}

#[tokio::test]
async fn a_table_that_is_not_there() {
    let Some(url) = servers::require("postgres") else { return };
    let pool = PgPool::connect(&url).await.unwrap();
    for table in ["never_made", "no_such_schema.outbox"] {
        let table = TableName::new(table).unwrap();
        let store = PostgresStore::new(pool.clone()).table(table.clone());
        let error = Relay::builder(store, MemoryPublisher::new())
            .build()
            .unwrap()
            .start()
            .await
            .unwrap_err();
        let said = chain(&error);
        assert!(said.contains(&format!("`{table}`")) && said.contains("migrate"), "{said}");
        assert!(said.lines().count() <= 3, "{said}");
    }
}
