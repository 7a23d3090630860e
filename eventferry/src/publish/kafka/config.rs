//! Settings: which ones a user may choose, and what the two clients need.

use std::fmt;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

use crate::publish::kafka::KafkaPublisher;
use crate::publish::kafka::warm::WarmRule;
use crate::publish::{PublishError, PublishErrorKind};

/// Settings that eventferry's promises rest on, and the reason each is refused with.
const REFUSED: [(&str, &str); 24] = [
    ("bootstrap.servers", "the brokers are given to `KafkaPublisher::builder`"),
    ("metadata.broker.list", "the brokers are given to `KafkaPublisher::builder`"),
    (
        "enable.idempotence",
        "the pipelined client needs it on, the plain one off: order rests on both",
    ),
    ("enable.gapless.guarantee", "without it events overtake a refused one"),
    ("acks", "an event counts as delivered only when all in-sync replicas have it"),
    (
        "request.required.acks",
        "an event counts as delivered only when all in-sync replicas have it",
    ),
    (
        "message.timeout.ms",
        "it follows from `publish_deadline`; a pipelined event must never time out on its own",
    ),
    (
        "delivery.timeout.ms",
        "it follows from `publish_deadline`; a pipelined event must never time out on its own",
    ),
    (
        "retries",
        "the client must be free to try again, or one lost answer fails a whole session",
    ),
    (
        "message.send.max.retries",
        "the client must be free to try again, or one lost answer fails a whole session",
    ),
    ("max.in.flight", "librdkafka chooses it so that retries keep their order"),
    (
        "max.in.flight.requests.per.connection",
        "librdkafka chooses it so that retries keep their order",
    ),
    ("partitioner", "the partition of a key must be the one the relay computed (murmur2)"),
    (
        "partitioner_cb",
        "the partition of a key must be the one the relay computed (murmur2)",
    ),
    ("msg_order_cmp", "events leave in the order they were handed over"),
    ("queuing.strategy", "events leave in the order they were handed over"),
    (
        "queue.buffering.backpressure.threshold",
        "librdkafka chooses it so that retries keep their order",
    ),
    ("transactional.id", "this publisher does not use Kafka transactions"),
    ("transaction.timeout.ms", "this publisher does not use Kafka transactions"),
    (
        "allow.auto.create.topics",
        "an unknown topic is reported, never created by accident",
    ),
    (
        "topic.metadata.propagation.max.ms",
        "unknown topics are found before their first event, never by a timeout in the client",
    ),
    (
        "delivery.report.only.error",
        "without success reports nothing would ever be delivered",
    ),
    ("produce.offset.report", "the offset is what proves a delivery"),
    (
        "test.mock.num.brokers",
        "each client would get a mock cluster of its own; start one and give its address",
    ),
];

/// Parts of a setting's name after which its value is nobody's business.
const SECRET: [&str; 10] = [
    "password",
    "passphrase",
    "secret",
    "token",
    "credential",
    "username",
    "oauthbearer",
    "pem",
    "key",
    "kinit",
];

/// How the clients are set up. Values whose name smells of a secret are not shown.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) brokers: String,
    pub(super) user: Vec<(String, String)>,
    pub(super) publish_deadline: Duration,
    pub(super) metadata_timeout: Duration,
    pub(super) idle: Duration,
    pub(super) warm_rule: WarmRule,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(name, value): &(String, String)| {
            let value = if is_secret(name) { "[redacted]" } else { value };
            format!("{name}={value}")
        };
        f.debug_struct("Settings")
            .field("brokers", &self.brokers)
            .field("user", &self.user.iter().map(shown).collect::<Vec<_>>())
            .field("publish_deadline", &self.publish_deadline)
            .field("metadata_timeout", &self.metadata_timeout)
            .field("idle", &self.idle)
            .finish_non_exhaustive()
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|part| name.contains(part))
}

impl Settings {
    /// The pipelined client: idempotent and gapless, and no event of it ever fails by a timeout.
    pub(super) fn pipelined(&self) -> ClientConfig {
        let mut config = self.common();
        config
            .set("enable.idempotence", "true")
            .set("enable.gapless.guarantee", "true")
            .set("message.timeout.ms", "0")
            // About 36 minutes: librdkafka multiplies it by 1,000 in 32 bits, so anything above 2,147,483 turns into "at once".
            .set("topic.metadata.propagation.max.ms", "2147000");
        config
    }

    /// The plain client: one event per request, so that each answer concerns one event.
    pub(super) fn plain(&self) -> ClientConfig {
        let mut config = self.common();
        config
            .set("enable.idempotence", "false")
            .set("batch.num.messages", "1")
            .set("linger.ms", "0")
            .set("message.timeout.ms", millis(self.delivery_timeout()))
            .set("topic.metadata.propagation.max.ms", "1000");
        config
    }

    /// What the client may use of the publish deadline; the rest is for finding out why it did not succeed.
    pub(super) fn delivery_timeout(&self) -> Duration {
        self.publish_deadline * 4 / 5
    }

    fn common(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("reconnect.backoff.max.ms", "1000");
        for (name, value) in &self.user {
            config.set(name, value);
        }
        config
            .set("bootstrap.servers", &self.brokers)
            .set("acks", "all")
            .set("partitioner", "murmur2_random")
            .set("allow.auto.create.topics", "false");
        config
    }
}

fn millis(duration: Duration) -> String {
    duration.as_millis().clamp(1, 2_147_483_000).to_string()
}

/// Builds a [`KafkaPublisher`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct KafkaPublisherBuilder {
    settings: Settings,
}

impl KafkaPublisherBuilder {
    pub(super) fn new(brokers: String) -> Self {
        Self {
            settings: Settings {
                brokers,
                user: Vec::new(),
                publish_deadline: Duration::from_secs(30),
                metadata_timeout: Duration::from_secs(5),
                idle: Duration::from_mins(1),
                warm_rule: WarmRule::Kept,
            },
        }
    }

    /// Sets any further property of [librdkafka], such as `security.protocol`, `sasl.password`, `compression.type` or `linger.ms`.
    ///
    /// It holds for both clients, except that the plain one always sends one event per request without lingering. Properties that order or
    /// durability rest on are refused by [`build`](Self::build). TLS, SCRAM and Kerberos need the matching feature of the crate `rdkafka`
    /// (`ssl`, `ssl-vendored`, `gssapi`) switched on in your own `Cargo.toml`.
    ///
    /// [librdkafka]: https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.user.push((name.into(), value.into()));
        self
    }

    /// Sets all properties of an rdkafka configuration you already have, but for its brokers; see [`set`](Self::set).
    pub fn client_config(mut self, config: &ClientConfig) -> Self {
        let set = config.config_map().into_iter().filter(|(name, _)| *name != "bootstrap.servers");
        self.settings
            .user
            .extend(set.map(|(name, value)| (name.to_owned(), value.to_owned())));
        self
    }

    /// Sets how long one [`publish`](crate::Publisher::publish) may take before it ends as unavailable; 30 s by default.
    pub fn publish_deadline(mut self, deadline: Duration) -> Self {
        self.settings.publish_deadline = deadline;
        self
    }

    /// Sets how long one question about a topic may take before the broker counts as away; 5 s by default.
    pub fn metadata_timeout(mut self, timeout: Duration) -> Self {
        self.settings.metadata_timeout = timeout;
        self
    }

    /// Sets after how much idle time a partition of a session starts again with one event in flight; 60 s by default.
    ///
    /// It must be well below the brokers' `producer.id.expiration.ms` (a day by default).
    pub fn idle_limit(mut self, idle: Duration) -> Self {
        self.settings.idle = idle;
        self
    }

    /// Leaves the warm rule out, so that a test can show what it is for. Never use it elsewhere: events overtake refused ones.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub fn without_the_warm_rule(mut self) -> Self {
        self.settings.warm_rule = WarmRule::Broken;
        self
    }

    /// Checks every setting and makes the publisher. Needs no broker: one that is away shows up as
    /// [`PublishErrorKind::Unavailable`] later, and comes back by itself.
    ///
    /// # Errors
    /// [`PublishErrorKind::Rejected`] naming the setting that is unknown, has a wrong value, or may not be changed.
    pub fn build(self) -> Result<KafkaPublisher, PublishError> {
        let refuse = |text: String| Err(PublishError::new(PublishErrorKind::Rejected, text));
        if self.settings.brokers.trim().is_empty() {
            return refuse("failed to set up the Kafka publisher: no brokers were given".to_owned());
        }
        for (name, _) in &self.settings.user {
            if let Some((_, reason)) = REFUSED.iter().find(|(refused, _)| refused == name) {
                return refuse(format!("failed to set up the Kafka publisher: `{name}` may not be set: {reason}"));
            }
        }
        for (name, value) in [
            ("publish_deadline", self.settings.publish_deadline),
            ("metadata_timeout", self.settings.metadata_timeout),
        ] {
            if value < Duration::from_millis(10) {
                return refuse(format!("failed to set up the Kafka publisher: `{name}` must be at least 10 ms"));
            }
        }
        for config in [self.settings.pipelined(), self.settings.plain()] {
            if let Err(error) = config.create_native_config() {
                return Err(setup_failure(&error));
            }
        }
        KafkaPublisher::new(self.settings)
    }
}

/// Why a client could not be made: names the setting, and its value only where that is no secret.
pub(super) fn setup_failure(error: &KafkaError) -> PublishError {
    let text = if let KafkaError::ClientConfig(_, text, name, _) = error {
        let text = if is_secret(name) { "its value was refused" } else { text.as_str() };
        format!("failed to set up the Kafka publisher: `{name}`: {text}")
    } else if let KafkaError::ClientCreation(text) = error {
        format!("failed to set up the Kafka publisher: {text}")
    } else {
        "failed to set up the Kafka publisher: librdkafka could not make a client".to_owned()
    };
    PublishError::new(PublishErrorKind::Rejected, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> KafkaPublisherBuilder {
        KafkaPublisherBuilder::new("127.0.0.1:1".to_owned())
    }

    fn refusal(builder: KafkaPublisherBuilder) -> String {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), PublishErrorKind::Rejected);
        error.to_string()
    }

    #[test]
    fn what_the_promises_rest_on_cannot_be_set() {
        for (name, reason) in REFUSED {
            let text = refusal(builder().set(name, "1"));
            assert!(
                text.contains(&format!("`{name}` may not be set")) && text.contains(reason),
                "{text}"
            );
        }
    }

    #[test]
    fn an_unknown_setting_and_a_wrong_value_are_named_and_a_secret_is_not_shown() {
        assert!(refusal(builder().set("no.such.thing", "1")).contains("`no.such.thing`"));
        let text = refusal(builder().set("linger.ms", "soon"));
        assert!(text.contains("`linger.ms`") && text.contains("Invalid value"), "{text}");
        let text = refusal(builder().set("ssl.keystore.password.of.mine", "hunter2"));
        assert!(!text.contains("hunter2"), "{text}");
        assert!(refusal(KafkaPublisherBuilder::new(" ".to_owned())).contains("no brokers"));
        assert!(refusal(builder().publish_deadline(Duration::ZERO)).contains("publish_deadline"));
    }

    #[test]
    fn debug_shows_no_secret() {
        let builder = builder()
            .set("sasl.password", "hunter2")
            .set("sasl.username", "ann")
            .set("linger.ms", "7");
        let text = format!("{builder:?}");
        assert!(
            text.contains("sasl.password=[redacted]") && text.contains("linger.ms=7") && text.contains("127.0.0.1:1"),
            "{text}"
        );
        assert!(!text.contains("hunter2") && !text.contains("ann"), "{text}");
    }

    #[test]
    fn the_clients_are_set_up_as_the_contract_says() {
        let settings = builder().set("linger.ms", "7").set("acks.of.mine", "0").settings;
        let pipelined = settings.pipelined();
        for (name, value) in [
            ("enable.idempotence", "true"),
            ("enable.gapless.guarantee", "true"),
            ("acks", "all"),
            ("message.timeout.ms", "0"),
            ("linger.ms", "7"),
            ("partitioner", "murmur2_random"),
            ("allow.auto.create.topics", "false"),
        ] {
            assert_eq!(pipelined.get(name), Some(value), "{name}");
        }
        assert_eq!(pipelined.get("retries"), None);
        assert_eq!(pipelined.get("max.in.flight"), None);
        let plain = settings.plain();
        for (name, value) in [
            ("enable.idempotence", "false"),
            ("acks", "all"),
            ("batch.num.messages", "1"),
            ("linger.ms", "0"),
            ("message.timeout.ms", "24000"),
        ] {
            assert_eq!(plain.get(name), Some(value), "{name}");
        }
    }
}
