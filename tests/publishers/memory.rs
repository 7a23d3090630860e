//! The memory publisher.

use eventferry::Message;
use eventferry::publish::memory::MemoryPublisher;
use eventferry::testing::conformance::publisher::{Harness, Logged};

pub(super) struct Memory(pub(super) MemoryPublisher);

impl Memory {
    pub(super) fn fresh() -> Self {
        Self(MemoryPublisher::with_topics::<&str>([]).with_max_bytes(50_000))
    }
}

impl Harness for Memory {
    type Publisher = MemoryPublisher;
    const TOO_LARGE: usize = 100_000;

    fn publisher(&self) -> &MemoryPublisher {
        &self.0
    }

    async fn create_topic(&self, topic: &str, _partitions: u32) {
        self.0.create_topic(topic);
    }

    async fn log(&self, topic: &str) -> Vec<Logged> {
        let logged = |message: &Message| Logged {
            partition: None,
            key: message.key().map(|key| key.as_bytes().to_vec()),
            payload: message.payload().map(<[u8]>::to_vec),
            headers: message
                .headers()
                .iter()
                .map(|(n, v)| (n.to_owned(), v.as_bytes().to_vec()))
                .collect(),
        };
        self.0.messages(topic).iter().map(logged).collect()
    }
}

eventferry::conformance_publisher!(conformance, Memory::fresh());
