//! Handlers that panic: when they are called, while they wait, and when they are dropped.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::*;

/// Panics when it is dropped, unless something panics already.
struct Falls;

impl Drop for Falls {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "4111");
    }
}

#[tokio::test]
async fn a_panic_wherever_it_comes_from_is_a_failed_attempt_and_its_words_are_not_stored() {
    let calls: [Dispatcher<Event>; 3] = [
        on_created(|| -> std::future::Ready<_> { panic!("4111") }),
        on_created(|| async { panic!("4111") }),
        on_created(|| async {
            tokio::task::yield_now().await;
            drop(Falls);
            Ok(())
        }),
    ];
    for dispatcher in calls {
        let (kind, text) = refusal(&dispatcher, &message("OrderCreated", CREATED)).await;
        assert_eq!(kind, PublishErrorKind::Retriable);
        assert_eq!(text, "failed to handle `OrderCreated` of topic `orders`: handler panicked");
    }
    let decoding = Handlers::new(Events::new().unwrap()).on(async |_: OrderPaid, _| Ok(()));
    let old = message("OrderPaid", r#"{"order":"cursed"}"#).with_header("event-version", "1");
    assert_eq!(refusal(&decoding.build().unwrap(), &old).await.0, PublishErrorKind::Retriable);
}

#[tokio::test]
async fn the_relay_outlives_a_handler_that_panics() {
    let store = MemoryStore::new();
    let ids = enqueue(&store, [created("bad"), created("good")]).await;
    let handlers = Handlers::new(Events::new().unwrap()).on(async |event: OrderCreated, _| {
        assert!(event.order != "bad", "4111");
        Ok(())
    });
    let relay = start(Relay::builder(store.clone(), handlers.build().unwrap()).max_attempts(2)).await;
    until(&relay, |stats| stats.acked == 1 && stats.dead == 1).await;
    let text = store.last_error_of(ids[0]).unwrap();
    assert!(text.ends_with("`orders`: handler panicked"), "{text}");
    relay.stop().await.unwrap();
}

/// A future that panics when it is dropped: ready at once, or never.
struct FallingFuture(bool);

impl Future for FallingFuture {
    type Output = Result<(), HandlerError>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if self.0 { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

impl Drop for FallingFuture {
    fn drop(&mut self) {
        drop(Falls);
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_while_it_is_dropped_keeps_its_answer_and_harms_nobody() {
    let done = on_created(|| FallingFuture(true));
    assert!(done.publish(&message("OrderCreated", CREATED)).await.is_ok());
    let hangs = on_created(|| FallingFuture(false));
    let message = message("OrderCreated", CREATED);
    let timed_out = tokio::time::timeout(Duration::from_secs(1), hangs.publish(&message)).await;
    assert!(timed_out.is_err());
}
