//! What the client logs.

use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::schema::confluent::ConfluentRegistry;
use crate::schema::{RegistryErrorKind, SchemaId, SchemaRegistry};

/// Keeps everything that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.extend([field.name(), "=", &format!("{value:?}"), "\n"]);
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        attributes.record(&mut self.clone());
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn no_log_line_of_any_crate_shows_a_credential() {
    let log = Log::default();
    let logging = tracing::subscriber::set_default(log.clone());
    // Nobody listens there.
    for builder in [
        ConfluentRegistry::builder(["http://ann:hunter2@127.0.0.1:1", "http://ann:hunter2@127.0.0.1:1/v7"]),
        ConfluentRegistry::builder(["http://127.0.0.1:1"]).basic_auth("ann", "hunter2"),
        ConfluentRegistry::builder(["http://127.0.0.1:1"])
            .bearer_auth("hunter2")
            .header("x-key", "hunter2"),
    ] {
        let registry = builder.retries(1).build().unwrap();
        let error = registry.schema_of(SchemaId::new(1)).await.unwrap_err();
        assert_eq!(error.kind(), RegistryErrorKind::Unavailable);
    }
    drop(logging);
    let text = log.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(text.contains("asking again") && text.contains("http://127.0.0.1:1"), "{text}");
    for secret in ["hunter2", "ann:", "YW5uOmh1bnRlcjI="] {
        assert!(!text.contains(secret), "`{secret}` is in {text}");
    }
}
