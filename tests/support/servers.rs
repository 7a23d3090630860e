//! Where the servers are, and what happens when one is missing.
//!
//! `tests/run` starts them and sets the addresses. Under plain `cargo test` a test that misses its server says so on stderr, past the
//! capture of the test harness, and returns; a server named in `EVENTFERRY_REQUIRE` (a list with commas) makes that a failure.
//!
//! ```
//! use eventferry_tests::servers;
//!
//! let Some(url) = servers::require("postgres") else { return };
//! assert!(url.starts_with("postgres"));
//! ```

use std::io::Write;

/// The variable that names the servers whose absence is a failure.
const REQUIRE: &str = "EVENTFERRY_REQUIRE";

/// The address of a server (`postgres`, `postgres-password`, `kafka`, `kafka-proxied`, `schema-registry`) or the place of what a test starts by
/// itself (`own-postgres`, `faketime`, `own-kafka`, `connect`, `own-schema-registry`, `asyncapi`, `confluent-python`); `None`, said aloud, where
/// the test is to be skipped.
///
/// # Panics
/// If the server has no address and `EVENTFERRY_REQUIRE` names it, or if no such server is known.
pub fn require(server: &str) -> Option<String> {
    let variable = variable(server);
    match decide(server, variable, |name| std::env::var(name).ok()) {
        Need::Given(address) => Some(address),
        Need::Skip(text) => {
            // Straight to the file: what goes through `eprintln!` is shown for failed tests only.
            let current = std::thread::current();
            let who = current.name().unwrap_or("a test");
            let said = writeln!(std::io::stderr(), "SKIPPED {who}: {text}");
            drop(said);
            None
        }
        Need::Fail(text) => panic!("{text}"),
    }
}

/// What becomes of a test that needs a server.
#[derive(Debug, PartialEq, Eq)]
enum Need {
    Given(String),
    Skip(String),
    Fail(String),
}

fn variable(server: &str) -> &'static str {
    match server {
        "postgres" => "EVENTFERRY_PG_URL",
        "postgres-password" => "EVENTFERRY_PG_PASSWORD_URL",
        "own-postgres" => "EVENTFERRY_PG_BIN",
        "faketime" => "EVENTFERRY_FAKETIME",
        "kafka" => "EVENTFERRY_KAFKA",
        "kafka-proxied" => "EVENTFERRY_KAFKA_PROXIED_LISTENER",
        "own-kafka" => "EVENTFERRY_KAFKA_LIB",
        "connect" => "EVENTFERRY_CONNECT_HOME",
        "schema-registry" => "EVENTFERRY_SCHEMA_REGISTRY",
        "own-schema-registry" => "EVENTFERRY_SCHEMA_REGISTRY_HOME",
        "asyncapi" => "EVENTFERRY_ASYNCAPI",
        "confluent-python" => "EVENTFERRY_CONFLUENT_PYTHON",
        other => panic!("no server is called `{other}`"),
    }
}

fn decide(server: &str, variable: &str, env: impl Fn(&str) -> Option<String>) -> Need {
    if let Some(address) = env(variable).filter(|address| !address.is_empty()) {
        return Need::Given(address);
    }
    let text = format!("{variable} is not set; `tests/run` starts the servers and sets it");
    if env(REQUIRE).is_some_and(|list| list.split(',').any(|name| name.trim() == server)) {
        Need::Fail(format!("{server} is required by {REQUIRE}, but {text}"))
    } else {
        Need::Skip(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
    }

    #[test]
    fn an_address_is_used() {
        let need = decide(
            "kafka",
            "EVENTFERRY_KAFKA",
            with(&[("EVENTFERRY_KAFKA", "h:1"), (REQUIRE, "kafka")]),
        );
        assert_eq!(need, Need::Given("h:1".to_owned()));
    }

    #[test]
    fn a_missing_server_skips_and_says_how_to_get_it() {
        for env in [with(&[]), with(&[("EVENTFERRY_KAFKA", ""), (REQUIRE, "postgres,kafka-proxied")])] {
            let Need::Skip(text) = decide("kafka", "EVENTFERRY_KAFKA", env) else {
                panic!("not skipped")
            };
            assert!(text.contains("EVENTFERRY_KAFKA") && text.contains("tests/run"), "{text}");
        }
    }

    #[test]
    fn a_missing_server_fails_where_it_is_required() {
        let need = decide("kafka", "EVENTFERRY_KAFKA", with(&[(REQUIRE, "postgres, kafka")]));
        assert!(matches!(need, Need::Fail(text) if text.contains("required")));
    }
}
