//! What a draft says of its delivery, and what it refuses to say.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use crate::EnqueueErrorKind;
use crate::event::TraceContext;
use crate::registry::tests::{CartShared, Counting, ShopEvents, order};
use crate::store::memory::MemoryStore;

#[tokio::test]
async fn a_draft_says_more_of_its_delivery() {
    let (store, events) = (MemoryStore::new(), ShopEvents::new().unwrap().trace_source(|| None));
    let context = TraceContext::new("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .unwrap()
        .with_state("a=1")
        .unwrap();
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    let mut tx = store.begin();
    let draft = events
        .event(order("a", 1))
        .key("k")
        .header("x", "y\tz")
        .deliver_at(at)
        .partition(3)
        .trace_context(&context);
    draft.enqueue(&mut tx).await.unwrap();
    events.event(order("a", 1)).no_key().enqueue(&mut tx).await.unwrap();
    events.enqueue(&mut tx, CartShared { cart: Cow::Borrowed("c") }).await.unwrap();
    tx.commit();
    let rows = store.rows();
    assert_eq!(
        (rows[0].key.as_deref(), rows[0].partition, rows[0].ordered),
        (Some("k"), Some(3), false)
    );
    assert_eq!(rows[0].headers.get("x"), Some("y\tz"));
    assert_eq!(rows[0].headers.get("traceparent"), Some(context.traceparent()));
    assert_eq!(rows[0].headers.get("trace-id"), Some(context.trace_id()));
    assert_eq!(crate::consume::trace_context(&rows[0].clone().into_message("s")), Some(context));
    assert_eq!((rows[1].key.as_deref(), rows[1].headers.get("traceparent")), (None, None));
    assert!(!rows[2].ordered);
}

#[tokio::test]
async fn the_trace_source_is_asked_unless_the_draft_says_otherwise() {
    fn source() -> Option<TraceContext> {
        TraceContext::new("00-11111111111111111111111111111111-2222222222222222-00")
            .ok()?
            .with_state("s=1")
            .ok()
    }
    let (store, events) = (MemoryStore::new(), ShopEvents::new().unwrap().trace_source(source));
    let mut tx = store.begin();
    events.enqueue(&mut tx, order("a", 1)).await.unwrap();
    let other = TraceContext::new("00-33333333333333333333333333333333-4444444444444444-01").unwrap();
    events.event(order("a", 1)).trace_context(&other).enqueue(&mut tx).await.unwrap();
    tx.commit();
    let rows = store.rows();
    assert_eq!(rows[0].headers.get("trace-id"), Some("11111111111111111111111111111111"));
    assert_eq!(rows[0].headers.get("tracestate"), Some("s=1"));
    assert_eq!(rows[1].headers.get("trace-id"), Some("33333333333333333333333333333333"));
    assert_eq!(
        rows[1].headers.get("tracestate"),
        None,
        "a state without its parent would be somebody else's"
    );
}

#[tokio::test]
async fn what_cannot_be_stored_is_refused_without_showing_it() {
    let (store, events) = (MemoryStore::new(), ShopEvents::new().unwrap());
    let mut tx = Counting {
        inserts: Vec::new(),
        tx: store.begin(),
    };
    let mut tenant = order("a", 1);
    tenant.tenant = Some("secret\r\nx: y".to_owned());
    let drafts = [
        (events.event(order("secret\0", 1)), "its aggregate id holds a NUL"),
        (events.event(tenant), "the value of header `tenant-id` holds a control"),
        (events.event(order("a", 1)).key("secret\0"), "its key holds a NUL"),
        (
            events.event(order("a", 1)).header("Message-Id", "secret"),
            "written by eventferry itself",
        ),
        (events.event(order("a", 1)).header("x", "secret\0"), "the value of header `x`"),
        (events.event(order("a", 1)).partition(u32::MAX), "its partition is above"),
    ];
    for (draft, text) in drafts {
        let error = draft.enqueue(&mut tx).await.unwrap_err();
        assert_eq!(error.kind(), EnqueueErrorKind::Invalid);
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(text) && !shown.contains("secret"), "{shown}");
    }
    assert!(tx.inserts.is_empty());
}

#[tokio::test]
async fn the_first_mistake_of_a_draft_is_kept() {
    let (store, events) = (MemoryStore::new(), ShopEvents::new().unwrap());
    let draft = events.event(order("a", 0)).key("k\0").header("message-id", "x");
    assert_eq!(
        draft.enqueue(&mut store.begin()).await.unwrap_err().kind(),
        EnqueueErrorKind::Refused
    );
}

#[tokio::test]
async fn the_span_of_an_enqueue_says_which_event_and_nothing_of_it() {
    let (store, events) = (MemoryStore::new(), ShopEvents::new().unwrap());
    let spans = Spans::default();
    let _guard = tracing::subscriber::set_default(spans.clone());
    let mut tx = store.begin();
    let receipt = events.event(order("secret", 7)).key("secret").enqueue(&mut tx).await.unwrap();
    events
        .enqueue_all(&mut tx, [events.event(order("secret", 1)), events.event(order("secret", 2))])
        .await
        .unwrap();
    let seen = spans.seen().join("\n");
    let id = receipt.message_id();
    let one =
        format!("eventferry.enqueue messaging.destination.name=\"orders\" messaging.message.id={id} eventferry.event=\"OrderCreated\"");
    assert_eq!(seen, format!("{one}\neventferry.enqueue messaging.batch.message_count=2"));
}

/// A subscriber that writes down new spans with their fields.
#[derive(Clone, Default)]
struct Spans(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

impl Spans {
    fn seen(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl tracing::field::Visit for Spans {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        if let Some(last) = self.seen().last_mut() {
            last.push_str(&[" ", field.name(), "=", &format!("{value:?}")].concat());
        }
    }
}

impl tracing::Subscriber for Spans {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.name().starts_with("eventferry.")
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        self.seen().push(span.metadata().name().to_owned());
        span.record(&mut self.clone());
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}
