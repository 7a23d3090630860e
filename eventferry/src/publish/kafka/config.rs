//! The builder of a Kafka publisher.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

use crate::publish::kafka::KafkaPublisher;
use crate::publish::kafka::settings::{REFUSED, Settings, Transactions, is_secret};
use crate::publish::kafka::warm::WarmRule;
use crate::publish::{PublishError, PublishErrorKind};

/// The client counts milliseconds in 31 bits, and more than fits would be hardly any time.
const LONGEST: Duration = Duration::from_hours(24 * 24);

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
                transactions: None,
                transactional_id_prefix: "eventferry".to_owned(),
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
    ///
    /// # Examples
    /// ```
    /// use eventferry::publish::kafka::KafkaPublisher;
    ///
    /// let publisher = KafkaPublisher::builder("kafka-1:9092").set("linger.ms", "5").set("compression.type", "gzip").build()?;
    /// # drop(publisher);
    /// let refused = KafkaPublisher::builder("kafka-1:9092").set("retries", "3").build().unwrap_err();
    /// assert!(refused.to_string().contains("`retries` may not be set"));
    /// # Ok::<(), eventferry::PublishError>(())
    /// ```
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.user.push((name.into(), value.into()));
        self
    }

    /// Sets all properties of an rdkafka configuration you already have, but for its brokers; see [`set`](Self::set).
    ///
    /// # Examples
    /// ```
    /// use eventferry::publish::kafka::KafkaPublisher;
    ///
    /// let mut shared = rdkafka::ClientConfig::new();
    /// shared.set("bootstrap.servers", "elsewhere:9092").set("linger.ms", "soon");
    /// let refused = KafkaPublisher::builder("kafka-1:9092").client_config(&shared).build().unwrap_err();
    /// assert!(refused.to_string().contains("`linger.ms`"), "it is checked like any other");
    /// ```
    pub fn client_config(mut self, config: &ClientConfig) -> Self {
        let set = config.config_map().into_iter().filter(|(name, _)| *name != "bootstrap.servers");
        self.settings
            .user
            .extend(set.map(|(name, value)| (name.to_owned(), value.to_owned())));
        self
    }

    /// Sets how long one [`publish`](crate::Publisher::publish) may take before it ends as unavailable: at least 10 ms, 30 s by default. What is
    /// above 24 days counts as 24 days.
    ///
    /// Half of it is the client's; the rest is for questions about the topic, and for trying alone an event that costs connections.
    /// The relay's own `publish_deadline` must not be shorter: it would drop each call before an event that makes the broker close its connection
    /// could be told from an outage.
    ///
    /// # Examples
    /// The relay gives a call a little more time than the publisher takes:
    /// ```
    /// use std::time::Duration;
    ///
    /// use eventferry::publish::kafka::KafkaPublisher;
    /// # #[cfg(feature = "relay")] {
    /// use eventferry::{relay::Relay, store::memory::MemoryStore};
    ///
    /// let publisher = KafkaPublisher::builder("kafka-1:9092").publish_deadline(Duration::from_secs(20)).build()?;
    /// let relay = Relay::builder(MemoryStore::new(), publisher).publish_deadline(Duration::from_secs(25)).build();
    /// assert!(relay.is_ok());
    /// # }
    /// # Ok::<(), eventferry::PublishError>(())
    /// ```
    pub fn publish_deadline(mut self, deadline: Duration) -> Self {
        self.settings.publish_deadline = deadline;
        self
    }

    /// Sets how long one question about a topic may take before the broker counts as away: at least 10 ms, 5 s by default. What is above
    /// 24 days counts as 24 days; a question that belongs to a publish has a tenth of its deadline at the most.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// use eventferry::publish::kafka::KafkaPublisher;
    ///
    /// let impatient = KafkaPublisher::builder("kafka-1:9092").metadata_timeout(Duration::from_millis(1));
    /// assert!(impatient.build().unwrap_err().to_string().ends_with("`metadata_timeout` must be at least 10 ms"));
    /// ```
    pub fn metadata_timeout(mut self, timeout: Duration) -> Self {
        self.settings.metadata_timeout = timeout;
        self
    }

    /// Sets after how much idle time a partition of a session starts again with one event in flight; 60 s by default.
    ///
    /// It must be well below the brokers' `producer.id.expiration.ms` (a day by default), which is not checked: past that a broker has forgotten
    /// what it knew of the client, and takes whichever event comes first.
    pub fn idle_limit(mut self, idle: Duration) -> Self {
        self.settings.idle = idle;
        self
    }

    /// Puts each batch of events into one Kafka transaction, which the brokers abort if it takes longer than `time_limit`.
    ///
    /// Consumers that read only what is committed (`isolation.level=read_committed`) then see all of a batch or nothing of it, and nothing
    /// at all of a relay that was replaced. Delivery stays at least once: a relay that ends between a commit and its record in the outbox sends the batch
    /// again. It costs a round trip to the brokers per batch, and consumers see events only after the commit.
    ///
    /// The lanes of an outbox are leased in eight groups, each with a transactional id of its own. A retry, an event without a key and a dead
    /// letter go outside of transactions, as without this setting. At least 1 s; 60 s is a good limit, and brokers refuse more than their
    /// `transaction.max.timeout.ms`.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// use eventferry::Publisher;
    /// use eventferry::publish::Pipelined;
    /// use eventferry::publish::kafka::KafkaPublisher;
    ///
    /// let publisher = KafkaPublisher::builder("kafka-1:9092").transactions(Duration::from_secs(60)).build()?;
    /// assert_eq!(publisher.pipelined().map(Pipelined::groups), Some(8));
    /// # Ok::<(), eventferry::PublishError>(())
    /// ```
    pub fn transactions(mut self, time_limit: Duration) -> Self {
        self.settings.transactions = Some(Transactions { time_limit });
        self
    }

    /// Sets what the transactional ids begin with; `eventferry` by default.
    ///
    /// The whole of one is `PREFIX-OUTBOX-GROUP`. Every relay of an outbox must use the same prefix: the id is what fences a relay that was replaced.
    ///
    /// # Examples
    /// Two environments on one cluster, whose outboxes were copied from one another and so have one identity:
    /// ```
    /// use std::time::Duration;
    ///
    /// use eventferry::publish::kafka::KafkaPublisher;
    ///
    /// let staging = KafkaPublisher::builder("kafka-1:9092").transactions(Duration::from_secs(60)).transactional_id_prefix("staging");
    /// assert!(staging.build().is_ok());
    /// ```
    pub fn transactional_id_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.settings.transactional_id_prefix = prefix.into();
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
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// use eventferry::PublishErrorKind;
    /// use eventferry::publish::kafka::KafkaPublisher;
    ///
    /// assert!(KafkaPublisher::builder("kafka-1:9092").build().is_ok(), "no broker is asked");
    /// let error = KafkaPublisher::builder("kafka-1:9092").publish_deadline(Duration::ZERO).build().unwrap_err();
    /// assert_eq!(error.kind(), PublishErrorKind::Rejected);
    /// assert!(error.to_string().ends_with("`publish_deadline` must be at least 10 ms"));
    /// ```
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
        let mut configs = vec![self.settings.pipelined(), self.settings.plain()];
        if let Some(transactions) = self.settings.transactions {
            if transactions.time_limit < Duration::from_secs(1) {
                return refuse("failed to set up the Kafka publisher: the time limit of `transactions` must be at least 1 s".to_owned());
            }
            configs.push(self.settings.transactional(transactions, "eventferry"));
        }
        for config in configs {
            if let Err(error) = config.create_native_config() {
                return Err(setup_failure(&error));
            }
        }
        KafkaPublisher::new(Settings {
            publish_deadline: self.settings.publish_deadline.min(LONGEST),
            metadata_timeout: self.settings.metadata_timeout.min(LONGEST),
            ..self.settings
        })
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
    use crate::event::Message;
    use crate::publish::Publisher;

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
        assert!(refusal(builder().transactions(Duration::from_millis(999))).contains("time limit of `transactions`"));
    }

    #[tokio::test]
    async fn no_deadline_is_too_long_for_a_clock_or_for_the_client() {
        let never = builder()
            .publish_deadline(Duration::MAX)
            .metadata_timeout(Duration::MAX)
            .build()
            .unwrap();
        let longest = never.settings.question_timeout();
        assert!(longest > Duration::from_hours(24) && longest.as_millis() < 1 << 31, "{longest:?}");
        assert!(never.settings.metadata_timeout.as_millis() < 1 << 31);

        let publisher = builder()
            .publish_deadline(Duration::MAX)
            .metadata_timeout(Duration::from_millis(50))
            .build()
            .unwrap();
        let away = publisher.publish(&Message::new("orders", "paid")).await.unwrap_err();
        assert!(matches!(away.kind(), PublishErrorKind::Unavailable(_)), "{away}");
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
}
