//! Settings: which ones a user may not choose, and what the two clients need.

use std::fmt;
use std::time::Duration;

use rdkafka::ClientConfig;

use crate::mutant::{Mutant, mutant};
use crate::publish::Seat;
use crate::publish::kafka::losses;
use crate::publish::kafka::warm::WarmRule;

/// Settings that eventferry's promises rest on, and the reason each is refused with.
pub(super) const REFUSED: [(&str, &str); 24] = [
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
    ("transactional.id", "it follows from `transactions` and the outbox"),
    ("transaction.timeout.ms", "it is given to `transactions`"),
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

/// How long a transaction may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transactions {
    pub(super) time_limit: Duration,
}

/// How the clients are set up. Values whose name smells of a secret are not shown.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) brokers: String,
    pub(super) user: Vec<(String, String)>,
    pub(super) publish_deadline: Duration,
    pub(super) metadata_timeout: Duration,
    pub(super) idle: Duration,
    pub(super) transactions: Option<Transactions>,
    pub(super) transactional_id_prefix: String,
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
            .field("transactions", &self.transactions)
            .finish_non_exhaustive()
    }
}

pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|part| name.contains(part))
}

impl Settings {
    /// The pipelined client: idempotent and gapless, and no event of it ever fails by a timeout.
    pub(super) fn pipelined(&self) -> ClientConfig {
        let mut config = self.common();
        config
            .set("enable.idempotence", "true")
            .set("enable.gapless.guarantee", (!mutant(Mutant::NoGapless)).to_string())
            .set("message.timeout.ms", "0")
            // About 36 minutes: librdkafka multiplies it by 1,000 in 32 bits, so anything above 2,147,483 turns into "at once".
            .set("topic.metadata.propagation.max.ms", "2147000");
        if !self.wants_statistics() {
            config.set("statistics.interval.ms", losses::EVERY);
        }
        config
    }

    /// Whether the statistics are the user's own wish.
    pub(super) fn wants_statistics(&self) -> bool {
        self.user.iter().any(|(name, _)| name == "statistics.interval.ms")
    }

    /// The client of a transactional session: a batch that cannot be delivered in time is aborted as a whole.
    pub(super) fn transactional(&self, transactions: Transactions, id: &str) -> ClientConfig {
        let mut config = self.common();
        config
            .set("enable.idempotence", "true")
            .set("transactional.id", id)
            .set("transaction.timeout.ms", millis(transactions.time_limit))
            .set("message.timeout.ms", millis(transactions.time_limit))
            .set("topic.metadata.propagation.max.ms", "1000");
        config
    }

    /// What a seat is called at the brokers: the same for whichever relay has it.
    pub(super) fn transactional_id(&self, seat: Seat<'_>) -> String {
        format!("{}-{}-{}", self.transactional_id_prefix, seat.outbox, seat.group)
    }

    /// The plain client: one event per request, so that each answer concerns one event.
    pub(super) fn plain(&self) -> ClientConfig {
        let mut config = self.common();
        config
            .set("enable.idempotence", "false")
            .set("batch.num.messages", "1")
            .set("linger.ms", "0")
            .set("message.timeout.ms", millis(self.delivery_timeout()))
            // Lost on the wire three times, an event is a suspect and not a matter of patience; what only waits for its broker is neither.
            .set("message.send.max.retries", "2")
            .set("topic.metadata.propagation.max.ms", "1000");
        config
    }

    /// The plain client of a single suspect: each loss of its connection is told.
    pub(super) fn alone(&self) -> ClientConfig {
        let mut config = self.plain();
        config
            .set("message.timeout.ms", millis(self.question_timeout()))
            .set("message.send.max.retries", "0")
            .set("statistics.interval.ms", "0");
        config
    }

    /// What the client may use of the publish deadline; the rest is for questions about the topic and for trying an event alone.
    fn delivery_timeout(&self) -> Duration {
        self.publish_deadline / 2
    }

    /// How long one of these may take.
    pub(super) fn question_timeout(&self) -> Duration {
        self.metadata_timeout.min(self.publish_deadline / 10)
    }

    fn common(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("client.id", "eventferry").set("reconnect.backoff.max.ms", "1000");
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

#[cfg(test)]
mod tests {
    use super::*;

    impl Settings {
        /// Of clients whose broker is nowhere, and with settings of a user.
        pub(in crate::publish::kafka) fn nowhere(user: &[(&str, &str)]) -> Self {
            Self {
                brokers: "127.77.77.77:9".to_owned(),
                user: user.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
                publish_deadline: Duration::from_secs(30),
                metadata_timeout: Duration::from_secs(5),
                idle: Duration::from_mins(1),
                transactions: None,
                transactional_id_prefix: "eventferry".to_owned(),
                warm_rule: WarmRule::Kept,
            }
        }
    }

    #[test]
    fn the_clients_are_set_up_as_the_contract_says() {
        let settings = Settings::nowhere(&[("linger.ms", "7")]);
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
            ("message.timeout.ms", "15000"),
            ("message.send.max.retries", "2"),
        ] {
            assert_eq!(plain.get(name), Some(value), "{name}");
        }
        assert_eq!(pipelined.get("statistics.interval.ms"), Some("1000"));
        assert_eq!(plain.get("statistics.interval.ms"), None);
        let transactions = Transactions {
            time_limit: Duration::from_secs(9),
        };
        let transactional = settings.transactional(transactions, &settings.transactional_id(Seat::new("shop", 3)));
        for (name, value) in [
            ("enable.idempotence", "true"),
            ("transactional.id", "eventferry-shop-3"),
            ("transaction.timeout.ms", "9000"),
            ("message.timeout.ms", "9000"),
            ("acks", "all"),
            ("partitioner", "murmur2_random"),
        ] {
            assert_eq!(transactional.get(name), Some(value), "{name}");
        }
        let mine = Settings {
            transactional_id_prefix: "mine".to_owned(),
            ..settings.clone()
        };
        assert_eq!(mine.transactional_id(Seat::new("shop", 3)), "mine-shop-3");
        assert_eq!(settings.alone().get("message.send.max.retries"), Some("0"));
        assert_eq!(settings.alone().get("message.timeout.ms"), Some("3000"));
    }
}
