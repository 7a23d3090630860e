//! Handlers at the end of a relay: attempts, dead rows, and who waits for whom.

use super::*;

#[tokio::test]
async fn committed_events_reach_the_handler_of_their_type_in_order_and_rolled_back_ones_do_not() {
    let (store, seen) = (MemoryStore::new(), Arc::new(Mutex::new(Vec::new())));
    let (first, second) = (seen.clone(), seen.clone());
    let events = Events::new().unwrap();
    let handlers = Handlers::new(events.clone())
        .on(move |event: OrderCreated, ctx: HandlerContext| {
            let seen = first.clone();
            async move {
                seen.lock().unwrap().push((event.order, "created", ctx.position()));
                Ok(())
            }
        })
        .on(move |event: OrderPaid, ctx| {
            let seen = second.clone();
            async move {
                tokio::task::yield_now().await;
                seen.lock().unwrap().push((event.order, "paid", ctx.position()));
                Ok(())
            }
        });
    let relay = start(Relay::builder(store.clone(), handlers.build().unwrap())).await;
    let mut lost = store.begin();
    events.enqueue(&mut lost, created("lost")).await.unwrap();
    lost.rollback();
    let mut tx = store.begin();
    events.enqueue(&mut tx, created("a")).await.unwrap();
    let paid = OrderPaid {
        order: "a".to_owned(),
        cents: 5,
    };
    events.enqueue(&mut tx, paid).await.unwrap();
    tx.commit();
    until(&relay, |stats| stats.acked == 2).await;
    relay.stop().await.unwrap();
    let positions: Vec<_> = store.rows().iter().map(|row| Some(row.id)).collect();
    let expected = [("a".to_owned(), "created", positions[0]), ("a".to_owned(), "paid", positions[1])];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test]
async fn the_inbox_takes_the_context_and_knows_a_second_attempt() {
    let (store, seen) = (MemoryStore::new(), Arc::new(Mutex::new(Vec::new())));
    enqueue(&store, [created("7")]).await;
    let (database, see) = (store.clone(), seen.clone());
    let handlers = Handlers::new(Events::new().unwrap()).on(move |_: OrderCreated, ctx| {
        let (store, seen) = (database.clone(), see.clone());
        async move {
            let mut tx = store.begin();
            let accepted = Inbox::new("billing").accept(&mut tx, &ctx).await?;
            tx.commit();
            seen.lock().unwrap().push(accepted);
            match accepted {
                // As after a crash: the change is committed, the success is not known.
                Accepted::First => Err("the process ended".into()),
                Accepted::Duplicate => Ok(()),
            }
        }
    });
    let relay = start(Relay::builder(store.clone(), handlers.build().unwrap())).await;
    until(&relay, |stats| stats.acked == 1).await;
    assert_eq!(*seen.lock().unwrap(), [Accepted::First, Accepted::Duplicate]);
}

#[tokio::test]
async fn an_error_by_the_question_mark_counts_attempts_and_its_causes_are_the_text_of_the_dead_row() {
    let store = MemoryStore::new();
    let [bad, good] = enqueue(&store, [created("bad"), created("good")]).await[..] else {
        panic!("two events")
    };
    let calls = Arc::new(AtomicU32::new(0));
    let count = calls.clone();
    let handlers = Handlers::new(Events::new().unwrap()).on(move |event: OrderCreated, _| {
        let calls = count.clone();
        async move {
            if event.order == "bad" {
                calls.fetch_add(1, Ordering::Relaxed);
                Err(no_connection())?;
            }
            Ok(())
        }
    });
    let relay = start(Relay::builder(store.clone(), handlers.build().unwrap()).max_attempts(3)).await;
    until(&relay, |stats| stats.acked == 1 && stats.dead == 1).await;
    assert_eq!(calls.load(Ordering::Relaxed), 3);
    assert_eq!(
        (store.status_of(bad), store.status_of(good)),
        (Some(Status::Dead), Some(Status::Done))
    );
    assert_eq!(
        store.last_error_of(bad).unwrap(),
        "failed to handle `OrderCreated` of topic `orders`: failed to charge: connection refused"
    );
}

#[tokio::test]
async fn a_rejected_event_is_dead_at_once() {
    let store = MemoryStore::new();
    let id = enqueue(&store, [created("7")]).await[0];
    let rejecting = on_created(|| ready(Err(HandlerError::rejected("the account is closed"))));
    let relay = start(Relay::builder(store.clone(), rejecting)).await;
    let stats = until(&relay, |stats| stats.dead == 1).await;
    assert_eq!((stats.failed, store.status_of(id)), (0, Some(Status::Dead)));
    assert!(store.last_error_of(id).unwrap().ends_with(": the account is closed"));
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_misses_is_counted_for_no_event_and_stops_no_other_aggregate() {
    let store = MemoryStore::new();
    let calls = Arc::new(AtomicU32::new(0));
    let count = calls.clone();
    let handlers = Handlers::new(Events::new().unwrap()).on(move |event: OrderCreated, _| {
        let waits = event.order == "waits" && count.fetch_add(1, Ordering::Relaxed) < 5;
        ready(if waits {
            Err(HandlerError::unavailable(no_connection()))
        } else {
            Ok(())
        })
    });
    let ids = enqueue(&store, [created("waits"), created("flows")]).await;
    let relay = start(Relay::builder(store.clone(), handlers.build().unwrap()).max_attempts(1)).await;
    until(&relay, |stats| stats.acked == 1).await;
    assert_eq!(
        (store.status_of(ids[0]), store.status_of(ids[1])),
        (Some(Status::Pending), Some(Status::Done))
    );
    let stats = until(&relay, |stats| stats.acked == 2).await;
    assert_eq!((stats.failed, stats.dead, stats.broker_away), (0, 0, false));
    assert_eq!((calls.load(Ordering::Relaxed), store.last_error_of(ids[0])), (6, None));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_too_slow_is_dropped_and_runs_again() {
    let store = MemoryStore::new();
    enqueue(&store, [created("7")]).await;
    let calls = Arc::new(AtomicU32::new(0));
    let count = calls.clone();
    let dispatcher = on_created(move || {
        let first = count.fetch_add(1, Ordering::Relaxed) == 0;
        async move { if first { pending().await } else { Ok(()) } }
    });
    let relay = start(Relay::builder(store.clone(), dispatcher).publish_deadline(Duration::from_secs(1))).await;
    let stats = until(&relay, |stats| stats.acked == 1).await;
    assert_eq!((stats.failed, calls.load(Ordering::Relaxed)), (0, 2));
}

#[tokio::test]
async fn a_dead_letter_is_refused_and_its_handler_not_asked_again() {
    let store = MemoryStore::new();
    let id = enqueue(&store, [created("7")]).await[0];
    let calls = Arc::new(AtomicU32::new(0));
    let count = calls.clone();
    let dispatcher = on_created(move || {
        count.fetch_add(1, Ordering::Relaxed);
        ready(Err(HandlerError::rejected("no")))
    });
    let once = RetryPolicy::fixed(Duration::from_hours(1));
    let relay = Relay::builder(store.clone(), dispatcher).dead_letter_topic(&Topic::new("dead").unwrap());
    let relay = relay.retry(once).build().unwrap().start().await.unwrap();
    until(&relay, |stats| stats.dead == 1).await;
    assert_eq!((calls.load(Ordering::Relaxed), store.status_of(id)), (1, Some(Status::Dead)));
    let text = store.last_error_of(id).unwrap();
    assert!(
        text.contains(": no; ") && text.contains("start the relay without a dead-letter topic"),
        "{text}"
    );
}
