//! What no client library here can ask of a broker, in Kafka's own bytes: quotas, rights, and headers that are no text.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Limits what a client id may produce, in bytes a second; none lifts the limit.
///
/// # Panics
/// If the broker refuses.
pub async fn throttle(broker: &str, client_id: &str, bytes_a_second: Option<f64>) {
    let mut body = Body::default();
    body.array(1).array(1).text("client-id").text(client_id);
    body.array(1)
        .text("producer_byte_rate")
        .bytes(&bytes_a_second.unwrap_or(0.0).to_be_bytes());
    body.bytes(&[u8::from(bytes_a_second.is_none()), 0]);
    // AlterClientQuotas. The answer: time, one entry, its error.
    assert_eq!(code(&ask(broker, 49, 0, &body).await, 8), 0, "the quota is refused");
}

/// What somebody may be allowed to do with a topic, by Kafka's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "all that the tests allow")]
pub enum Right {
    /// To publish.
    Write = 4,
    /// To ask about it.
    Describe = 8,
}

/// Allows a user something on a topic.
///
/// # Panics
/// If the broker refuses.
pub async fn allow(broker: &str, user: &str, topic: &str, right: Right) {
    // CreateAcls: one right, on a topic, by its whole name, for any host, allowed. The answer: time, one entry, its error.
    let body = acl(user, Thing::Topic, topic, right);
    assert_eq!(code(&ask(broker, 30, 1, &body).await, 8), 0, "the right is not granted");
}

/// Takes back what [`allow`] gave.
///
/// # Panics
/// If the broker refuses.
pub async fn forbid(broker: &str, user: &str, topic: &str, right: Right) {
    // DeleteAcls, by the same words.
    let body = acl(user, Thing::Topic, topic, right);
    assert_eq!(code(&ask(broker, 31, 1, &body).await, 8), 0, "the right is not taken back");
}

/// Allows a user to publish under a transactional id.
///
/// # Panics
/// If the broker refuses.
pub async fn allow_transactions(broker: &str, user: &str, id: &str) {
    for right in [Right::Write, Right::Describe] {
        let body = acl(user, Thing::TransactionalId, id, right);
        assert_eq!(code(&ask(broker, 30, 1, &body).await, 8), 0, "the right is not granted");
    }
}

/// What rights are about, by Kafka's numbers.
#[derive(Clone, Copy)]
enum Thing {
    Topic = 2,
    TransactionalId = 5,
}

fn acl(user: &str, thing: Thing, name: &str, right: Right) -> Body {
    let mut body = Body::default();
    body.array(1).bytes(&[thing as u8]).text(name).bytes(&[3]);
    body.text(&format!("User:{user}")).text("*").bytes(&[right as u8, 3]);
    body
}

/// Publishes one event to partition 0 of a topic, with headers of any bytes whatever.
///
/// # Panics
/// If the broker refuses.
pub async fn publish_bytes(broker: &str, topic: &str, payload: &[u8], headers: &[(&[u8], &[u8])]) {
    let (mut record, mut batch, mut body) = (Body::default(), Body::default(), Body::default());
    // A record: attributes, time, place in the batch, no key.
    record.bytes(&[0, 0, 0]).varint(-1).counted(payload).varint(length(headers));
    for (name, value) in headers {
        record.counted(name).counted(value);
    }
    // What the sum is of: attributes, last place, two times, no producer, one record.
    let mut summed = Body::default();
    summed
        .bytes(&[0; 2 + 4 + 8 + 8])
        .bytes(&[0xff; 8 + 2 + 4])
        .array(1)
        .counted(&record.0);
    // The batch: its first offset, its length, an epoch, the version of the format, the sum.
    let rest = 4 + 1 + 4 + summed.0.len();
    batch
        .bytes(&[0; 8])
        .bytes(&u32::try_from(rest).expect("a short batch").to_be_bytes());
    batch
        .bytes(&[0xff; 4])
        .bytes(&[2])
        .bytes(&crc32c(&summed.0).to_be_bytes())
        .bytes(&summed.0);
    // Produce: no transaction, all replicas, 30 s.
    body.bytes(&[0xff; 2]).bytes(&(-1_i16).to_be_bytes()).array(30_000);
    body.array(1).text(topic).array(1).array(0);
    body.array(i32::try_from(batch.0.len()).expect("a short batch")).bytes(&batch.0);
    // The answer: one topic, its name, one partition, its number, its error.
    let answer = ask(broker, 0, 3, &body).await;
    assert_eq!(code(&answer, 4 + 2 + topic.len() + 4 + 4), 0, "the event is refused");
}

fn length<T>(list: &[T]) -> i64 {
    i64::try_from(list.len()).expect("a short list")
}

/// The sum of a batch.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// The fields of a request.
#[derive(Default)]
struct Body(Vec<u8>);

impl Body {
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        let length = i16::try_from(text.len()).expect("a short text");
        self.bytes(&length.to_be_bytes()).bytes(text.as_bytes())
    }

    fn array(&mut self, length: i32) -> &mut Self {
        self.bytes(&length.to_be_bytes())
    }

    /// A number of a record: zigzag, in groups of seven bits, lowest first.
    fn varint(&mut self, number: i64) -> &mut Self {
        let mut left = ((number << 1) ^ (number >> 63)).cast_unsigned();
        while left >= 0x80 {
            self.0.push((left & 0x7f) as u8 | 0x80);
            left >>= 7;
        }
        self.bytes(&[(left & 0x7f) as u8])
    }

    fn counted(&mut self, bytes: &[u8]) -> &mut Self {
        self.varint(length(bytes)).bytes(bytes)
    }
}

/// Sends one request on a connection of its own; what comes back, without its number.
async fn ask(broker: &str, kind: i16, version: i16, body: &Body) -> Vec<u8> {
    let asked = async {
        let mut stream = TcpStream::connect(broker).await?;
        let mut request = Body::default();
        request
            .bytes(&kind.to_be_bytes())
            .bytes(&version.to_be_bytes())
            .bytes(&[0; 4])
            .text("tests");
        request.bytes(&body.0);
        stream.write_i32(i32::try_from(request.0.len()).expect("a short request")).await?;
        stream.write_all(&request.0).await?;
        let mut answer = vec![0; usize::try_from(stream.read_i32().await?).expect("a length")];
        stream.read_exact(&mut answer).await?;
        std::io::Result::Ok(answer.split_off(4))
    };
    let answer = tokio::time::timeout(Duration::from_secs(30), asked).await;
    answer.expect("the broker answers in time").expect("the broker answers")
}

/// The error code at a place of an answer.
fn code(answer: &[u8], at: usize) -> i16 {
    i16::from_be_bytes([answer[at], answer[at + 1]])
}
