//! A broker whose settings no other test could stand, shared by those that need them.

use eventferry_tests::own_kafka::OwnKafka;
use tokio::sync::OnceCell;

static STRICT: OnceCell<Option<OwnKafka>> = OnceCell::const_new();

/// The broker; `None`, said aloud, where there is none. It goes with this process.
///
/// It reads no request above 100,000 bytes, forgets a producer after five idle seconds, and has a user `app` (password `secret`) who may
/// do nothing.
pub(super) async fn strict() -> Option<&'static OwnKafka> {
    let start = OwnKafka::builder()
        .set("socket.request.max.bytes", "100000")
        .set("producer.id.expiration.ms", "5000")
        .set("producer.id.expiration.check.interval.ms", "1000")
        .user("app", "secret");
    STRICT.get_or_init(|| start.start()).await.as_ref()
}
