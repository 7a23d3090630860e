//! Two brokers of these tests' own, started once. Whoever has both alone may stop them.

use eventferry::publish::kafka::{KafkaPublisher, KafkaPublisherBuilder};
use eventferry::relay::{Relay, RelayBuilder};
use eventferry::store::postgres::PostgresStore;
use eventferry_tests::kafka::TestTopic;
use eventferry_tests::own_kafka::OwnKafka;
use tokio::sync::{OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::rig::Rig;

static CLUSTER: OnceCell<Option<OwnKafka>> = OnceCell::const_new();
static USE: RwLock<()> = RwLock::const_new(());

/// The brokers, for as long as a test uses them.
pub(crate) struct Cluster<G> {
    pub(crate) kafka: &'static OwnKafka,
    _use: G,
}

/// The brokers, shared with other tests; `None`, said aloud, where there are none.
///
/// They read no request above 100,000 bytes, and have a user `app` (password `secret`) who may do nothing.
pub(crate) async fn shared() -> Option<Cluster<RwLockReadGuard<'static, ()>>> {
    let guard = USE.read().await;
    kafka().await.map(|kafka| Cluster { kafka, _use: guard })
}

/// The brokers, alone: whoever stops one has it running again in the end.
pub(crate) async fn alone() -> Option<Cluster<RwLockWriteGuard<'static, ()>>> {
    let guard = USE.write().await;
    kafka().await.map(|kafka| Cluster { kafka, _use: guard })
}

async fn kafka() -> Option<&'static OwnKafka> {
    let start = OwnKafka::builder()
        .nodes(2)
        .set("socket.request.max.bytes", "100000")
        .user("app", "secret");
    CLUSTER.get_or_init(|| start.start()).await.as_ref()
}

impl<G> Cluster<G> {
    /// An outbox, and a topic with each partition on the broker of that number.
    pub(crate) async fn rig(&self, leaders: &[i32]) -> Option<Rig> {
        let topic = TestTopic::create_on(&self.kafka.brokers(), leaders).await;
        Rig::with(self.kafka.brokers(), topic).await
    }

    /// A publisher whose batches these brokers read.
    pub(crate) fn publisher(&self) -> KafkaPublisherBuilder {
        KafkaPublisher::builder(self.kafka.brokers()).set("batch.size", "50000")
    }

    pub(crate) fn relay(&self, rig: &Rig) -> RelayBuilder<PostgresStore, KafkaPublisher> {
        Relay::builder(rig.store(), self.publisher().build().unwrap())
    }
}
