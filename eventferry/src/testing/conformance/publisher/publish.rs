//! One call, one event: what was given arrives, and a failure says whose fault it is.

use crate::event::Message;
use crate::publish::{PublishErrorKind, Publisher, Scope};
use crate::testing::conformance::publisher::support::{all, expected, log, name, poll_once, publish, topic, within};
use crate::testing::conformance::publisher::{Harness, Logged};

/// Key, payload and headers, byte for byte.
pub async fn an_event_arrives_unchanged<H: Harness>(h: &H) {
    let topic = topic(h, 1).await;
    let every_byte: Vec<u8> = (0..=255).collect();
    let message = Message::new(&topic, every_byte)
        .with_key("42")
        .with_header("message-id", "0199b2c4-0000-7000-8000-000000000000")
        .with_header("event-type", "OrderCreated");
    let delivery = publish(h, &message).await;
    assert_eq!(log(h, &topic).await, [expected(&message, delivery.partition)]);
}

/// A consumer that compacts reads "no payload" as "deleted".
pub async fn a_tombstone_is_not_an_empty_payload<H: Harness>(h: &H) {
    let topic = topic(h, 1).await;
    publish(h, &Message::tombstone(&topic).with_key("k")).await;
    publish(h, &Message::new(&topic, "").with_key("k")).await;
    let payloads: Vec<_> = log(h, &topic).await.into_iter().map(|logged| logged.payload).collect();
    assert_eq!(payloads, [None, Some(Vec::new())]);
}

/// An empty aggregate id is an id.
pub async fn an_empty_key_is_not_a_missing_one<H: Harness>(h: &H) {
    let topic = topic(h, 1).await;
    publish(h, &Message::new(&topic, "1").with_key("")).await;
    publish(h, &Message::new(&topic, "2")).await;
    let keys: Vec<_> = log(h, &topic).await.into_iter().map(|logged| logged.key).collect();
    assert_eq!(keys, [Some(Vec::new()), None]);
}

/// Whatever a text can hold.
pub async fn odd_texts_survive<H: Harness>(h: &H) {
    let topic = topic(h, 1).await;
    let mut messages = Vec::new();
    for text in [
        "",
        " ",
        "naïve",
        "日本語",
        "🦀👩‍👩‍👧",
        "\u{202e}rtl\u{feff}",
        "line\r\nline\t\u{7f}",
        "\u{10ffff}",
        "'; drop",
        "\u{0}",
    ] {
        let message = Message::new(&topic, text)
            .with_key(format!("key {text}"))
            .with_header("tenant-id", text)
            .with_header("note", format!("<{text}>"));
        publish(h, &message).await;
        messages.push(message);
    }
    let found: Vec<Logged> = log(h, &topic).await;
    let wanted: Vec<Logged> = messages.iter().map(|m| expected(m, found[0].partition)).collect();
    assert_eq!(found, wanted);
}

/// A hundred headers, one of them large.
pub async fn many_headers_keep_their_order<H: Harness>(h: &H) {
    let topic = topic(h, 1).await;
    let mut message = Message::new(&topic, "1").with_header("large", "x".repeat(5_000));
    for i in (0..100).rev() {
        message = message.with_header(format!("header-{i}"), i.to_string());
    }
    let delivery = publish(h, &message).await;
    assert_eq!(log(h, &topic).await, [expected(&message, delivery.partition)]);
}

/// Published one after the other, events of a key stand in one partition in that order.
pub async fn events_of_a_key_stay_in_order<H: Harness>(h: &H) {
    let topic = topic(h, 3).await;
    let mut wanted = Vec::new();
    for i in 0..20 {
        for key in ["a", "b", "c", "d"] {
            let message = Message::new(&topic, i.to_string()).with_key(key);
            publish(h, &message).await;
            wanted.push((key, i.to_string()));
        }
    }
    let found = log(h, &topic).await;
    for key in ["a", "b", "c", "d"] {
        let of_key: Vec<&Logged> = found
            .iter()
            .filter(|logged| logged.key.as_deref() == Some(key.as_bytes()))
            .collect();
        let payloads: Vec<_> = of_key
            .iter()
            .map(|logged| String::from_utf8(logged.payload.clone().unwrap()).unwrap())
            .collect();
        let of_wanted: Vec<_> = wanted.iter().filter(|(k, _)| *k == key).map(|(_, text)| text.clone()).collect();
        assert_eq!(payloads, of_wanted, "key {key}");
        assert!(of_key.iter().all(|logged| logged.partition == of_key[0].partition), "key {key}");
    }
}

/// Many aggregates at once, as the relay publishes.
pub async fn concurrent_publishes_all_arrive_once<H: Harness>(h: &H) {
    let topic = topic(h, 3).await;
    let messages: Vec<Message> = (0..500)
        .map(|i| Message::new(&topic, i.to_string()).with_key(i.to_string()))
        .collect();
    let publishing = messages.iter().map(|message| h.publisher().publish(message));
    let deliveries = within("500 publishes", all(publishing)).await;
    assert!(deliveries.iter().all(Result::is_ok), "{deliveries:?}");
    let mut found: Vec<_> = log(h, &topic).await.into_iter().map(|logged| logged.payload.unwrap()).collect();
    found.sort_unstable();
    let mut wanted: Vec<_> = messages.iter().map(|message| message.payload().unwrap().to_vec()).collect();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
}

/// The refusal concerns its own event, and says nothing of what is in it.
pub async fn an_event_that_is_too_large_is_rejected_and_others_go_on<H: Harness>(h: &H) {
    let topic = topic(h, 1).await;
    let welcome = Message::new(&topic, "s".repeat(10_000)).with_key("k");
    let refused = Message::new(&topic, "secret".repeat(H::TOO_LARGE / 6 + 1)).with_key("private-key");
    let publishing = [&welcome, &refused, &welcome].map(|message| h.publisher().publish(message));
    let results = within("three publishes", all(publishing)).await;
    let error = results[1].as_ref().unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::Rejected, "{error}");
    let text = format!("{error} {error:?}");
    assert!(
        text.contains(&topic) && !text.contains("secret") && !text.contains("private-key"),
        "{text}"
    );
    assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
    let delivery = publish(h, &welcome).await;
    assert_eq!(log(h, &topic).await, vec![expected(&welcome, delivery.partition); 3]);
}

/// Nobody's fault but the topic's, and no fault once it is there.
pub async fn an_unknown_topic_is_unavailable_and_resumes_once_it_is_there<H: Harness>(h: &H) {
    let (missing, other) = (name(), topic(h, 1).await);
    let message = Message::new(&missing, "1").with_key("k");
    for _ in 0..2 {
        let error = within("a publish", h.publisher().publish(&message)).await.unwrap_err();
        assert_eq!(error.kind(), PublishErrorKind::Unavailable(Scope::Topic), "{error}");
        assert!(error.to_string().contains(&missing), "{error}");
    }
    publish(h, &Message::new(&other, "1")).await;
    within("creating a topic", h.create_topic(&missing, 1)).await;
    let delivery = publish(h, &message).await;
    assert_eq!(log(h, &missing).await, [expected(&message, delivery.partition)]);
}

/// The event may arrive or not; whatever is published afterwards does.
pub async fn a_publish_that_is_dropped_harms_nothing<H: Harness>(h: &H) {
    let topic = topic(h, 1).await;
    publish(h, &Message::new(&topic, "first").with_key("k")).await;
    for _ in 0..3 {
        poll_once(h.publisher().publish(&Message::new(&topic, "dropped").with_key("k"))).await;
    }
    publish(h, &Message::new(&topic, "last").with_key("k")).await;
    let mut texts: Vec<_> = log(h, &topic).await.into_iter().map(|logged| logged.payload.unwrap()).collect();
    texts.retain(|text| text != b"dropped");
    assert_eq!(texts, [b"first".to_vec(), b"last".to_vec()]);
}
