//! What the cases share.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use crate::event::{Message, MessageId};
use crate::publish::{BoxFuture, Delivery, Full, Pipelined, PublishError, Publisher, Report, Seat, Session};
use crate::testing::conformance::publisher::{Harness, Logged};

/// How long anything may take before a case fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// The future's value, or a failed case.
pub(super) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("{what} took longer than {PATIENCE:?}"))
}

/// A name nobody else has.
pub(super) fn name() -> String {
    format!("conformance-{}", MessageId::random())
}

/// A fresh topic.
pub(super) async fn topic<H: Harness>(h: &H, partitions: u32) -> String {
    let topic = name();
    within("creating a topic", h.create_topic(&topic, partitions)).await;
    topic
}

/// A delivered event.
pub(super) async fn publish<H: Harness>(h: &H, message: &Message) -> Delivery {
    within("a publish", h.publisher().publish(message)).await.unwrap()
}

/// What the log holds.
pub(super) async fn log<H: Harness>(h: &H, topic: &str) -> Vec<Logged> {
    within("reading the log", h.log(topic)).await
}

/// The payloads of a partition as text.
pub(super) async fn texts<H: Harness>(h: &H, topic: &str, partition: i32) -> Vec<String> {
    let log = log(h, topic).await.into_iter().filter(|logged| logged.partition == Some(partition));
    log.map(|logged| String::from_utf8(logged.payload.unwrap_or_default()).unwrap())
        .collect()
}

/// What a message should look like in the log.
pub(super) fn expected(message: &Message, partition: Option<i32>) -> Logged {
    Logged {
        partition,
        key: message.key().map(|key| key.as_bytes().to_vec()),
        payload: message.payload().map(<[u8]>::to_vec),
        headers: message
            .headers()
            .iter()
            .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
            .collect(),
    }
}

/// Runs futures side by side.
pub(super) async fn all<T: Unpin>(futures: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    poll_fn(|context| {
        let mut pending = false;
        for (future, value) in &mut running {
            if value.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(ready) => *value = Some(ready),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    running.into_iter().filter_map(|(_, value)| value).collect()
}

/// Polls a future once and drops it; says whether it had ended.
pub(super) async fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    poll_fn(|context| {
        Poll::Ready(match Pin::as_mut(&mut future).poll(context) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        })
    })
    .await
}

/// A session with its reports, by token.
pub(super) struct Open {
    pub(super) session: Box<dyn Session>,
    pub(super) reported: BTreeMap<u64, Result<Delivery, PublishError>>,
}

impl Open {
    /// In the seat of an outbox of this name, which is a case's own: where sessions of one seat fence each other, cases do not.
    pub(super) async fn new(pipelined: &dyn Pipelined, outbox: &str) -> Self {
        Self {
            session: within("opening a session", pipelined.open(Seat::new(outbox, 0))).await.unwrap(),
            reported: BTreeMap::new(),
        }
    }

    /// Hands an event over, making room by taking reports; says whether the session took it before it was over.
    pub(super) async fn hand_over(&mut self, token: u64, partition: i32, mut message: Message) -> bool {
        loop {
            match self.session.hand_over(token, partition, message) {
                Ok(()) => return true,
                Err(Full(back)) => {
                    message = back;
                    if self.failed() {
                        return false;
                    }
                    self.take().await;
                }
            }
        }
    }

    /// Takes reports. None may say something about an event that was reported before.
    pub(super) async fn take(&mut self) {
        let reports = within("reports", self.session.reports()).await;
        assert!(!reports.is_empty(), "a wait for reports ends with at least one");
        self.note_all(reports);
    }

    pub(super) async fn until(&mut self, enough: impl Fn(&Self) -> bool) {
        while !enough(self) {
            self.take().await;
        }
    }

    /// Closes the session and returns all reports there ever were.
    pub(super) async fn close(mut self) -> BTreeMap<u64, Result<Delivery, PublishError>> {
        let session = std::mem::replace(&mut self.session, Box::new(Closed));
        let reports = within("closing the session", session.close()).await;
        self.note_all(reports);
        self.reported
    }

    pub(super) fn failed(&self) -> bool {
        self.reported.values().any(Result::is_err)
    }

    pub(super) fn note_all(&mut self, reports: Vec<Report>) {
        for Report { token, result } in reports {
            let before = self.reported.insert(token, result);
            assert!(before.is_none(), "event {token} was reported twice");
        }
    }
}

/// In the place of a session that was closed.
struct Closed;

impl Session for Closed {
    fn hand_over(&mut self, _token: u64, _partition: i32, message: Message) -> Result<(), Full> {
        Err(Full(message))
    }

    fn reports(&mut self) -> BoxFuture<'_, Vec<Report>> {
        Box::pin(std::future::pending())
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Vec<Report>> {
        Box::pin(std::future::ready(Vec::new()))
    }
}
