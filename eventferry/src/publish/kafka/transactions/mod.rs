//! A transactional session: each batch of events in one Kafka transaction.
//!
//! An event counts as delivered only after the commit of its batch succeeded. Whatever fails in a batch aborts all of it, so of an aggregate's
//! events nothing after a failed one is ever visible to a consumer that reads only what is committed; neither gapless nor the warm rule is needed
//! for that. The calls of a transaction block, so each session has a thread of its own.

mod batch;
mod worker;

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::Notify;

use crate::event::Message;
use crate::publish::kafka::plain::PlainProducer;
use crate::publish::kafka::settings::{Settings, Transactions};
use crate::publish::kafka::transactions::worker::Worker;
use crate::publish::{BoxFuture, Full, PublishError, PublishErrorKind, Report, Scope, Seat, Session};

/// The most events in one transaction.
const BATCH: usize = 5_000;
/// The most bytes of payload in one, unless a single event has more.
const BATCH_BYTES: usize = 16 * 1024 * 1024;
/// The most events that wait for the next one.
const WAITING_LIMIT: usize = 20_000;

type Waiting = (u64, i32, Message);

/// The session's side.
pub(super) struct TransactionalSession {
    queue: Arc<Queue>,
    worker: Option<thread::JoinHandle<()>>,
}

/// What the session and its thread share.
#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    work: Condvar,
    wake: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    reports: Vec<Report>,
    /// Set by the first failure, or by the user: nothing is taken any more.
    over: bool,
}

impl TransactionalSession {
    /// Makes a client and takes the seat, which fences whoever had it. Blocks for as long as a question may take, and a little longer.
    pub(super) fn open(
        settings: &Settings,
        transactions: Transactions,
        seat: Seat<'_>,
        plain: PlainProducer,
    ) -> Result<Self, PublishError> {
        let worker = Worker::seated(settings, transactions, seat, plain)?;
        let queue = Arc::new(Queue::default());
        let theirs = Arc::clone(&queue);
        let thread = thread::Builder::new().name("eventferry-kafka-tx".to_owned()).spawn(move || {
            worker.run(&theirs);
            // Not before the client is gone is the session over for whoever waits for this thread.
            drop(worker);
        });
        match thread {
            Ok(thread) => Ok(Self {
                queue,
                worker: Some(thread),
            }),
            Err(error) => Err(PublishError::new(
                PublishErrorKind::Unavailable(Scope::Publisher),
                "failed to start the thread of a transactional Kafka session",
            )
            .with_source(error)),
        }
    }
}

impl Session for TransactionalSession {
    fn hand_over(&mut self, token: u64, partition: i32, message: Message) -> Result<(), Full> {
        let mut state = self.queue.state();
        if state.over || state.waiting.len() >= WAITING_LIMIT {
            return Err(Full(message));
        }
        state.waiting.push_back((token, partition, message));
        let first = state.waiting.len() == 1;
        drop(state);
        if first {
            self.queue.work.notify_one();
        }
        Ok(())
    }

    fn reports(&mut self) -> BoxFuture<'_, Vec<Report>> {
        Box::pin(async move {
            loop {
                let reports = mem::take(&mut self.queue.state().reports);
                if !reports.is_empty() {
                    return reports;
                }
                self.queue.wake.notified().await;
            }
        })
    }

    fn close(mut self: Box<Self>) -> BoxFuture<'static, Vec<Report>> {
        self.queue.end();
        Box::pin(async move {
            if let Some(worker) = self.worker.take() {
                let ended = tokio::task::spawn_blocking(move || worker.join().is_ok()).await;
                if !ended.unwrap_or(false) {
                    tracing::warn!("failed to close a transactional Kafka session cleanly");
                }
            }
            mem::take(&mut self.queue.state().reports)
        })
    }
}

impl Drop for TransactionalSession {
    fn drop(&mut self) {
        self.queue.end();
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        self.state().over = true;
        self.work.notify_one();
    }

    fn is_over(&self) -> bool {
        self.state().over
    }

    /// Waits for events; none when the session is to end.
    fn next_batch(&self) -> Option<Vec<Waiting>> {
        let mut state = self.state();
        while state.waiting.is_empty() && !state.over {
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.over {
            return None;
        }
        let mut bytes = 0;
        let fits = |(_, _, message): &&Waiting| {
            bytes += message.payload().map_or(0, <[u8]>::len);
            bytes <= BATCH_BYTES
        };
        let count = state.waiting.iter().take(BATCH).take_while(fits).count().max(1);
        Some(state.waiting.drain(..count).collect())
    }

    fn report(&self, reports: impl IntoIterator<Item = Report>) {
        self.state().reports.extend(reports);
        self.wake.notify_one();
    }
}

impl fmt::Debug for TransactionalSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TransactionalSession")
    }
}
