//! Many events of one aggregate in flight, and still nothing after one that was refused.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::event::Message;
use crate::publish::{Full, Pipelined, PublishErrorKind, Publisher, Scope};
use crate::testing::conformance::publisher::Harness;
use crate::testing::conformance::publisher::support::{Open, expected, log, name, poll_once, texts, topic, within};

/// The pipelined side, or the end of a case that does not concern this publisher.
macro_rules! pipelined {
    ($harness:expr) => {
        match Publisher::pipelined($harness.publisher()) {
            Some(pipelined) => pipelined,
            None => return,
        }
    };
}

fn event(topic: &str, token: u64) -> Message {
    Message::new(topic, token.to_string()).with_key("k")
}

fn too_large<H: Harness>(topic: &str) -> Message {
    Message::new(topic, "x".repeat(H::TOO_LARGE)).with_key("k")
}

/// The number the relay computes partitions with; a topic that is not there is the topic's fault.
pub async fn partitions_are_counted<H: Harness>(h: &H) {
    let pipelined = pipelined!(h);
    for count in [1, 5] {
        let topic = topic(h, count).await;
        assert_eq!(within("counting partitions", pipelined.partitions(&topic)).await.unwrap(), count);
    }
    let error = within("counting partitions", pipelined.partitions(&name())).await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::Unavailable(Scope::Topic), "{error}");
}

/// Of each partition, on several at once.
pub async fn a_partition_keeps_the_order_of_hand_over<H: Harness>(h: &H) {
    let pipelined = pipelined!(h);
    let topic = topic(h, 3).await;
    let mut open = Open::new(pipelined, &topic).await;
    let mut wanted: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for token in 0..3_000 {
        let partition = i32::try_from(token % 7 % 3).unwrap();
        assert!(open.hand_over(token, partition, event(&topic, token)).await);
        wanted.entry(partition).or_default().push(token.to_string());
    }
    open.until(|open| open.reported.len() == 3_000).await;
    assert!(open.close().await.values().all(Result::is_ok));
    for (partition, wanted) in wanted {
        assert_eq!(texts(h, &topic, partition).await, wanted, "partition {partition}");
    }
}

/// Every token once, with the place the event got.
pub async fn every_event_is_reported_once<H: Harness>(h: &H) {
    let pipelined = pipelined!(h);
    let topic = topic(h, 2).await;
    let mut open = Open::new(pipelined, &topic).await;
    for token in 0..200 {
        assert!(open.hand_over(token, i32::try_from(token % 2).unwrap(), event(&topic, token)).await);
    }
    open.until(|open| open.reported.len() == 200).await;
    let reported = open.close().await;
    assert_eq!(reported.len(), 200);
    for (token, result) in reported {
        let delivery = result.unwrap();
        assert_eq!(delivery.partition, Some(i32::try_from(token % 2).unwrap()), "event {token}");
        assert!(delivery.offset.is_some(), "event {token}");
    }
}

/// Key, payload and headers, tombstones and odd texts.
pub async fn an_event_arrives_from_a_session_as_from_a_publish<H: Harness>(h: &H) {
    let pipelined = pipelined!(h);
    let topic = topic(h, 1).await;
    let every_byte: Vec<u8> = (0..=255).collect();
    let messages = [
        Message::new(&topic, every_byte).with_key("日本語").with_header("event-type", "🦀"),
        Message::tombstone(&topic).with_key(""),
        Message::new(&topic, "").with_header("empty", ""),
    ];
    let mut open = Open::new(pipelined, &topic).await;
    for (token, message) in (0..).zip(&messages) {
        assert!(open.hand_over(token, 0, message.clone()).await);
    }
    open.until(|open| open.reported.len() == 3).await;
    open.close().await;
    assert_eq!(log(h, &topic).await, messages.map(|message| expected(&message, Some(0))));
}

/// Hands over 500 events, the one at `refused` too large, and checks the prefix rule.
async fn refused_at<H: Harness>(h: &H, pipelined: &dyn Pipelined, refused: u64) -> Vec<String> {
    let topic = topic(h, 1).await;
    let mut open = Open::new(pipelined, &topic).await;
    if refused > 0 {
        assert!(open.hand_over(0, 0, event(&topic, 0)).await);
        open.until(|open| open.reported.len() == 1).await;
    }
    for token in refused.min(1)..500 {
        let message = if token == refused {
            too_large::<H>(&topic)
        } else {
            event(&topic, token)
        };
        if !open.hand_over(token, 0, message).await {
            break;
        }
    }
    open.until(Open::failed).await;
    let reported = open.close().await;

    let found = texts(h, &topic, 0).await;
    let prefix: Vec<String> = (0..found.len()).map(|token| token.to_string()).collect();
    assert_eq!(found, prefix, "what is in the log is a prefix of what was handed over");
    assert!(
        found.len() as u64 <= refused,
        "event {refused} was refused, and {} are in the log",
        found.len()
    );
    if H::BATCHES_ARE_WHOLE {
        let delivered = reported.values().filter(|result| result.is_ok()).count();
        assert_eq!(found.len(), delivered, "of a batch with a refused event nothing is to be seen");
    }
    for (token, result) in reported {
        match result {
            Ok(_) => assert!(
                token < found.len() as u64,
                "event {token} counts as delivered and is not in the log"
            ),
            Err(error) => assert_ne!(
                error.kind(),
                PublishErrorKind::Rejected,
                "a refused batch is not a refused event: {error}"
            ),
        }
    }
    found
}

/// On a partition that already took events of this session.
pub async fn a_refused_event_is_followed_by_none<H: Harness>(h: &H) {
    let pipelined = pipelined!(h);
    let found = refused_at(h, pipelined, 250).await;
    assert!(!found.is_empty(), "the event that was acknowledged is there");
}

/// On a partition the session never wrote before.
pub async fn a_refused_first_event_is_followed_by_none<H: Harness>(h: &H) {
    let pipelined = pipelined!(h);
    assert_eq!(refused_at(h, pipelined, 0).await, Vec::<String>::new());
}

/// The message comes back, and goes to the next session.
pub async fn a_session_that_is_over_takes_nothing<H: Harness>(h: &H) {
    let pipelined = pipelined!(h);
    let (topic, other) = (topic(h, 1).await, topic(h, 1).await);
    let mut open = Open::new(pipelined, &topic).await;
    assert!(open.hand_over(1, 0, too_large::<H>(&topic)).await);
    open.until(Open::failed).await;
    let message = event(&other, 2);
    let Err(Full(back)) = open.session.hand_over(2, 0, message.clone()) else {
        panic!("a session that is over took an event")
    };
    assert_eq!(back, message);
    assert_eq!(open.close().await.len(), 1);
    assert!(log(h, &other).await.is_empty());
}

/// As `select!` drops it.
pub async fn a_wait_for_reports_that_is_dropped_loses_none<H: Harness>(h: &H) {
    let pipelined = pipelined!(h);
    let topic = topic(h, 1).await;
    let mut open = Open::new(pipelined, &topic).await;
    for token in 0..300 {
        assert!(open.hand_over(token, 0, event(&topic, token)).await);
    }
    // Every wait is dropped after one look, so a wait that takes reports before it is ready to hand them out loses them.
    let mut looks = tokio::time::interval(Duration::from_millis(1));
    within("300 reports", async {
        while open.reported.len() < 300 {
            looks.tick().await;
            if let Some(reports) = poll_once(open.session.reports()).await {
                open.note_all(reports);
            }
        }
    })
    .await;
    assert!(open.close().await.values().all(Result::is_ok));
}

/// A new client, everything from the start; nothing of the old one is in its way.
pub async fn the_next_session_goes_on<H: Harness>(h: &H) {
    let pipelined = pipelined!(h);
    let topic = topic(h, 1).await;
    let mut first = Open::new(pipelined, &topic).await;
    assert!(first.hand_over(0, 0, event(&topic, 0)).await);
    first.until(|open| open.reported.len() == 1).await;
    assert!(first.hand_over(1, 0, too_large::<H>(&topic)).await);
    first.until(Open::failed).await;
    first.close().await;

    let mut second = Open::new(pipelined, &topic).await;
    for token in 1..50 {
        assert!(second.hand_over(token, 0, event(&topic, token)).await);
    }
    second.until(|open| open.reported.len() == 49).await;
    assert!(second.close().await.values().all(Result::is_ok));
    assert_eq!(
        texts(h, &topic, 0).await,
        (0..50).map(|token| token.to_string()).collect::<Vec<_>>()
    );
}

/// What was delivered and not yet taken is told, and nothing else is claimed.
pub async fn closing_returns_what_nobody_took<H: Harness>(h: &H) {
    let pipelined = pipelined!(h);
    let topic = topic(h, 1).await;
    let mut open = Open::new(pipelined, &topic).await;
    assert!(open.hand_over(0, 0, event(&topic, 0)).await);
    open.until(|open| open.reported.len() == 1).await;
    for token in 1..200 {
        assert!(open.hand_over(token, 0, event(&topic, token)).await);
    }
    let reported = open.close().await;
    let found = texts(h, &topic, 0).await;
    let prefix: Vec<String> = (0..found.len()).map(|token| token.to_string()).collect();
    assert_eq!(found, prefix);
    for (token, result) in reported {
        assert!(
            result.is_err() || token < found.len() as u64,
            "event {token} counts as delivered and is not in the log"
        );
    }
}
