//! What librdkafka alone does not keep: scenes in which an idempotent, gapless client lets events overtake a refused one, or reports success
//! for an event that is in no log. Each is played twice: as the session plays it, and without the rule that saves it, to show that the scene
//! would catch a session that lost the rule.

use std::time::Duration;

use eventferry::publish::kafka::KafkaPublisherBuilder;
use eventferry::publish::{PublishErrorKind, Session};
use eventferry_tests::kafka::{PATIENCE, TestTopic};
use eventferry_tests::kafka_proxy::KafkaProxy;
use eventferry_tests::servers;

use super::{Reported, builder, event, open, unchecked};

/// How late the broker's refusal is, with the rule and without it: a little, and long enough for later events to be on their way for sure.
const SOON: Duration = Duration::from_millis(10);
const LATE: Duration = Duration::from_millis(100);

/// How long a damaged request waits for the one behind it: where a client that keeps the warm rule sends none, and where one must come.
const UNFOLLOWED: Duration = Duration::from_millis(500);
const FOLLOWED: Duration = PATIENCE;

/// What a scene left behind.
struct Outcome {
    log: Vec<String>,
    reported: Reported,
}

impl Outcome {
    /// No event counts as delivered that is not in the log.
    fn assert_truthful(&self) {
        for token in self.reported.delivered() {
            assert!(
                self.log.contains(&text(token)),
                "event {token} counts as delivered and is not in the log {:?}",
                self.log
            );
        }
    }
}

fn text(token: u64) -> String {
    format!("{token:08}")
}

/// The first event of a fresh session is refused by the broker while later ones follow it.
async fn first_event_refused(proxy: &KafkaProxy, late: Duration, change: fn(KafkaPublisherBuilder) -> KafkaPublisherBuilder) -> Outcome {
    let brokers = servers::require("kafka").expect("the proxied listener is one of a broker we know");
    let topic = TestTopic::create(&brokers, 1, &[("max.message.bytes", "2000")]).await;
    let publisher = change(unchecked(proxy.address())).build().expect("the settings are good");
    let mut session = open(&publisher).await;
    let mut reported = Reported::default();
    proxy.delay_answers(late);
    for token in 0..2000 {
        let payload = if token == 0 { "x".repeat(5000) } else { text(token) };
        if session.hand_over(token, 0, event(topic.name(), payload)).is_err() {
            break;
        }
    }
    reported.until("the refusal", session.as_mut(), Reported::failed).await;
    reported.close(session).await;
    Outcome {
        log: topic.texts(0).await,
        reported,
    }
}

#[tokio::test]
async fn an_event_refused_on_a_cold_partition_is_followed_by_none() {
    let Some(proxy) = KafkaProxy::start().await else { return };
    for late in [SOON, LATE] {
        let outcome = first_event_refused(&proxy, late, |builder| builder).await;
        assert_eq!(
            outcome.log,
            Vec::<String>::new(),
            "nothing may be in the log after a refused first event"
        );
        let errors = outcome.reported.errors();
        assert_eq!(
            errors.len(),
            1,
            "what waited for the first event is given up, not reported: {errors:?}"
        );
        assert_eq!(errors[0].0, 0);
        assert_eq!(errors[0].1.kind(), PublishErrorKind::Retriable);
        assert_eq!(outcome.reported.delivered(), Vec::<u64>::new());
    }
}

#[tokio::test]
async fn without_the_warm_rule_events_overtake_a_refused_one() {
    let Some(proxy) = KafkaProxy::start().await else { return };
    // Which of several tries shows it when the refusal is only a little late is chance.
    let mut overtook = Vec::new();
    for late in [SOON, SOON, SOON, SOON, LATE] {
        let outcome = first_event_refused(&proxy, late, KafkaPublisherBuilder::without_the_warm_rule).await;
        outcome.assert_truthful();
        overtook.push(!outcome.log.is_empty());
    }
    assert_eq!(
        overtook.last(),
        Some(&true),
        "if nothing overtakes here, the test above proves nothing any more: {overtook:?}"
    );
}

/// The first request of a fresh session is damaged on the wire; the one behind it is not.
async fn first_request_damaged(proxy: &KafkaProxy, hold: Duration, change: fn(KafkaPublisherBuilder) -> KafkaPublisherBuilder) -> Outcome {
    let brokers = servers::require("kafka").expect("the proxied listener is one of a broker we know");
    let topic = TestTopic::create(&brokers, 1, &[]).await;
    let publisher = change(builder(proxy.address())).build().expect("the settings are good");
    let mut session = open(&publisher).await;
    let mut reported = Reported::default();
    proxy.damage_next(text(1).as_bytes(), text(9).as_bytes(), hold);
    session.hand_over(1, 0, event(topic.name(), text(1))).expect("there is room");
    super::within("the first request", proxy.held()).await;
    for token in 2..12 {
        session
            .hand_over(token, 0, event(topic.name(), text(token)))
            .expect("there is room");
    }
    reported
        .until("an error or eleven deliveries", session.as_mut(), |r| r.failed() || r.0.len() == 11)
        .await;
    super::within("the answer", proxy.answered()).await;
    reported.close(session).await;
    Outcome {
        log: topic.texts(0).await,
        reported,
    }
}

#[tokio::test]
async fn a_damaged_first_request_is_repeated_and_everything_arrives_in_order() {
    let Some(proxy) = KafkaProxy::start().await else { return };
    let outcome = first_request_damaged(&proxy, UNFOLLOWED, |builder| builder).await;
    assert_eq!(outcome.log, (1..12).map(text).collect::<Vec<_>>());
    assert_eq!(outcome.reported.delivered(), (1..12).collect::<Vec<_>>());
    outcome.assert_truthful();
}

#[tokio::test]
async fn a_success_report_without_an_offset_delivers_nothing_and_ends_the_session() {
    let Some(proxy) = KafkaProxy::start().await else { return };
    let outcome = first_request_damaged(&proxy, FOLLOWED, KafkaPublisherBuilder::without_the_warm_rule).await;
    assert!(
        !outcome.log.contains(&text(1)),
        "if the damaged event arrives after all, this test proves nothing any more: {:?}",
        outcome.log
    );
    let errors = outcome.reported.errors();
    let (token, error) = errors[0];
    assert_eq!(token, 1, "{errors:?}");
    assert!(error.to_string().contains("without an offset"), "{error}");
    outcome.assert_truthful();
}

/// Whether a session that wrote a partition before has several requests on their way there at once.
async fn pipelines_again(proxy: &KafkaProxy, hold: Duration, change: fn(KafkaPublisherBuilder) -> KafkaPublisherBuilder) -> bool {
    let brokers = servers::require("kafka").expect("the proxied listener is one of a broker we know");
    let topic = TestTopic::create(&brokers, 1, &[]).await;
    let publisher = change(builder(proxy.address()).set("linger.ms", "0"))
        .build()
        .expect("the settings are good");
    let mut session = open(&publisher).await;
    let mut reported = Reported::default();
    session.hand_over(0, 0, event(topic.name(), text(0))).expect("there is room");
    reported.until("the first delivery", session.as_mut(), |r| !r.0.is_empty()).await;
    proxy.damage_next(text(1).as_bytes(), text(9).as_bytes(), hold);
    session.hand_over(1, 0, event(topic.name(), text(1))).expect("there is room");
    super::within("the second request", proxy.held()).await;
    for token in 2..12 {
        session
            .hand_over(token, 0, event(topic.name(), text(token)))
            .expect("there is room");
    }
    let followed = super::within("the answer", proxy.answered()).await;
    reported.until("twelve deliveries", session.as_mut(), |r| r.0.len() == 12).await;
    reported.close(session).await;
    assert_eq!(topic.texts(0).await, (0..12).map(text).collect::<Vec<_>>());
    followed
}

#[tokio::test]
async fn a_warm_partition_pipelines_and_one_that_was_idle_begins_again_with_one_event() {
    let Some(proxy) = KafkaProxy::start().await else { return };
    assert!(pipelines_again(&proxy, FOLLOWED, |builder| builder).await);
    assert!(!pipelines_again(&proxy, UNFOLLOWED, |builder| builder.idle_limit(Duration::ZERO)).await);
}

/// What a session did before the broker forgot its producer, and goes on with.
struct Idler {
    topic: TestTopic,
    session: Box<dyn Session>,
    reported: Reported,
}

impl Idler {
    async fn new(brokers: &str, builder: KafkaPublisherBuilder, settings: &[(&str, &str)]) -> Self {
        let topic = TestTopic::create(brokers, 1, settings).await;
        let publisher = builder.build().expect("the settings are good");
        let mut session = open(&publisher).await;
        let mut reported = Reported::default();
        session.hand_over(0, 0, event(topic.name(), text(0))).expect("there is room");
        reported.until("the first delivery", session.as_mut(), |r| !r.0.is_empty()).await;
        Self { topic, session, reported }
    }

    async fn end(mut self) -> Outcome {
        self.reported.close(self.session).await;
        Outcome {
            log: self.topic.texts(0).await,
            reported: self.reported,
        }
    }

    /// The next event is refused while later ones follow it.
    async fn refused(mut self) -> Outcome {
        for token in 1..2000 {
            let payload = if token == 1 { "x".repeat(5000) } else { text(token) };
            if self.session.hand_over(token, 0, event(self.topic.name(), payload)).is_err() {
                break;
            }
        }
        self.reported.until("the refusal", self.session.as_mut(), Reported::failed).await;
        self.end().await
    }

    /// The next request is damaged on the wire; the one behind it is not.
    async fn damaged(mut self, proxy: &KafkaProxy, hold: Duration) -> Outcome {
        proxy.damage_next(text(1).as_bytes(), text(9).as_bytes(), hold);
        self.session
            .hand_over(1, 0, event(self.topic.name(), text(1)))
            .expect("there is room");
        super::within("the request", proxy.held()).await;
        for token in 2..12 {
            let event = event(self.topic.name(), text(token));
            self.session.hand_over(token, 0, event).expect("there is room");
        }
        let enough = |r: &Reported| r.failed() || r.0.len() == 12;
        self.reported
            .until("an error or twelve deliveries", self.session.as_mut(), enough)
            .await;
        super::within("the answer", proxy.answered()).await;
        self.end().await
    }
}

/// The broker forgets a producer after five seconds without an event; its partitions are then as cold as new ones.
#[tokio::test]
async fn a_partition_idle_for_longer_than_the_broker_remembers_is_cold_again() {
    let Some(kafka) = super::strict::strict().await else { return };
    let (listener, advertised) = kafka.proxied(1);
    let proxy = KafkaProxy::between(listener, advertised).await;
    let brokers = kafka.brokers();
    let small = [("max.message.bytes", "2000")];
    let (kept, broken) = (Duration::from_secs(2), Duration::from_hours(1));
    let refusing = Idler::new(&brokers, unchecked(proxy.address()).idle_limit(kept), &small).await;
    let overtaking = Idler::new(&brokers, unchecked(proxy.address()).idle_limit(broken), &small).await;
    let damaged = Idler::new(&brokers, builder(proxy.address()).idle_limit(kept), &[]).await;
    let deceived = Idler::new(&brokers, builder(proxy.address()).idle_limit(broken), &[]).await;
    #[expect(
        clippy::disallowed_methods,
        reason = "to be idle is what is tested; the broker looks once a second for producers silent for five"
    )]
    tokio::time::sleep(Duration::from_secs(10)).await;

    proxy.delay_answers(LATE);
    let outcome = refusing.refused().await;
    assert_eq!(outcome.log, [text(0)], "nothing may be in the log after the refused event");
    assert_eq!(outcome.reported.delivered(), [0]);
    assert_eq!(outcome.reported.errors()[0].0, 1);
    let outcome = overtaking.refused().await;
    assert!(
        outcome.log.len() > 1,
        "if nothing overtakes here, the lines above prove nothing any more"
    );
    outcome.assert_truthful();

    proxy.delay_answers(Duration::ZERO);
    let outcome = damaged.damaged(&proxy, UNFOLLOWED).await;
    assert_eq!(outcome.log, (0..12).map(text).collect::<Vec<_>>());
    assert_eq!(outcome.reported.delivered(), (0..12).collect::<Vec<_>>());
    let outcome = deceived.damaged(&proxy, FOLLOWED).await;
    assert!(
        !outcome.log.contains(&text(1)),
        "if the damaged event arrives after all, the lines above prove nothing any more: {:?}",
        outcome.log
    );
    outcome.assert_truthful();
}
