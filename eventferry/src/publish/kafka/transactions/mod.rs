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
use std::time::Duration;

use tokio::sync::Notify;

use crate::event::Message;
use crate::publish::kafka::clock::Era;
use crate::publish::kafka::current::Dated;
use crate::publish::kafka::settings::{Settings, Transactions};
use crate::publish::kafka::transactions::worker::Worker;
use crate::publish::{BoxFuture, Full, PublishError, PublishErrorKind, Report, Scope, Seat, Session};

/// The most events in one transaction.
const BATCH: usize = 5_000;
/// The most bytes of payload in one, unless a single event has more.
const BATCH_BYTES: usize = 16 * 1024 * 1024;
/// The most events that wait for the next one.
const WAITING_LIMIT: usize = 20_000;

/// How long closing may take: a last commit or abort, and the end of the client's threads.
const CLOSE: Duration = Duration::from_secs(10);

type Waiting = (u64, i32, Message);

/// The session's side.
pub(super) struct TransactionalSession {
    queue: Arc<Queue>,
    worker: Option<thread::JoinHandle<()>>,
    /// When the client was made.
    era: Era,
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
    /// The first event of the batch that is on its way.
    current: Option<u64>,
    /// Set by the first failure, or by the user: nothing is taken any more.
    over: bool,
}

impl TransactionalSession {
    /// Makes a client and takes the seat, which fences whoever had it. Blocks for as long as a question may take, and a little longer.
    pub(super) fn open(settings: &Settings, transactions: Transactions, seat: Seat<'_>, plain: Dated) -> Result<Self, PublishError> {
        let Dated { client, era } = plain;
        let worker = Worker::seated(settings, transactions, seat, client, &era)?;
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
                era,
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
                let at_work = self.queue.is_at_work();
                tokio::select! {
                    () = self.queue.wake.notified() => {}
                    () = self.era.ended(), if at_work => {}
                }
                if self.era.is_over()
                    && let Some(token) = self.queue.give_up()
                {
                    let text = "failed to deliver in a transactional session: the wall clock of this host was set back, and the Kafka client waits by it";
                    return vec![Report::new(token, Err(PublishError::new(PublishErrorKind::Retriable, text)))];
                }
            }
        })
    }

    fn close(mut self: Box<Self>) -> BoxFuture<'static, Vec<Report>> {
        self.queue.end();
        Box::pin(async move {
            if let Some(worker) = self.worker.take() {
                // What may be left of it, whoever opens the next session of its seat fences; until then it may still commit.
                let ended = self.era.call(CLOSE, move || worker.join().is_ok()).await;
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
        state.current = state.waiting.front().map(|(token, ..)| *token);
        Some(state.waiting.drain(..count).collect())
    }

    /// Whether an event is on its way or is to be: also of a batch that failed, and is yet to say why.
    fn is_at_work(&self) -> bool {
        let state = self.state();
        state.current.is_some() || (!state.over && !state.waiting.is_empty())
    }

    /// Ends the session for the sake of the events that [`is_at_work`](Self::is_at_work) is about; answers the first of them.
    fn give_up(&self) -> Option<u64> {
        let mut state = self.state();
        let waits = state.waiting.front().map(|(token, ..)| *token).filter(|_| !state.over);
        let token = state.current.take().or(waits)?;
        state.over = true;
        self.work.notify_one();
        Some(token)
    }

    fn report(&self, reports: impl IntoIterator<Item = Report>) {
        let mut state = self.state();
        state.current = None;
        state.reports.extend(reports);
        drop(state);
        self.wake.notify_one();
    }
}

impl fmt::Debug for TransactionalSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TransactionalSession")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::Delivery;

    fn queue(tokens: [u64; 2]) -> Queue {
        let queue = Queue::default();
        queue
            .state()
            .waiting
            .extend(tokens.map(|token| (token, 0, Message::new("orders", "1"))));
        queue
    }

    #[test]
    fn whatever_has_no_outcome_yet_is_given_up_once() {
        let waiting = queue([7, 8]);
        let under_way = queue([7, 8]);
        under_way.next_batch().unwrap();
        let failed = queue([7, 8]);
        failed.next_batch().unwrap();
        failed.end();
        for (what, queue) in [
            ("waiting", waiting),
            ("under way", under_way),
            ("failed, and yet to say why", failed),
        ] {
            assert!(queue.is_at_work(), "{what}");
            assert_eq!(queue.give_up(), Some(7), "{what}");
            assert!(queue.is_over() && !queue.is_at_work(), "{what}");
            assert_eq!(queue.give_up(), None, "{what}");
        }
    }

    #[test]
    fn nothing_is_given_up_where_everything_was_told() {
        let told = queue([7, 8]);
        let batch = told.next_batch().unwrap();
        told.report(batch.iter().map(|(token, ..)| Report::new(*token, Ok(Delivery::at(0, 1)))));
        assert!(!told.is_at_work());
        assert_eq!(told.give_up(), None);
        assert!(!told.is_over());
        let ended = queue([7, 8]);
        ended.end();
        assert_eq!(ended.give_up(), None, "its events were never begun: whoever ended it knows");
    }
}
