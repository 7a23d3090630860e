//! The thread's side: begins, fills and commits transactions, and tells what became of them.

use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{Producer, ThreadedProducer};

use crate::publish::kafka::clock::Era;
use crate::publish::kafka::config::setup_failure;
use crate::publish::kafka::error::{advice, code_of, failure, kind_of_batch};
use crate::publish::kafka::plain::{PlainProducer, record};
use crate::publish::kafka::settings::{Settings, Transactions};
use crate::publish::kafka::transactions::batch::BatchContext;
use crate::publish::kafka::transactions::{Queue, Waiting};
use crate::publish::{Delivery, PublishError, PublishErrorKind, Report, Scope, Seat};

/// How long a call of the client may block before the session looks whether it is to end.
const SLICE: Duration = Duration::from_millis(250);
/// How long a commit or an abort may still take when the session is to end. Without an abort the brokers end the transaction themselves: when
/// its seat is taken again, or after its time limit.
const LAST: Duration = Duration::from_secs(2);

/// The thread's side.
pub(super) struct Worker {
    producer: ThreadedProducer<BatchContext>,
    id: String,
    time_limit: Duration,
    plain: PlainProducer,
    question: Duration,
}

/// Why a batch is not delivered.
enum Failure {
    /// The first event that failed, or the first of the batch, and what the client said.
    Of(usize, RDKafkaErrorCode),
    /// The session was to end before the commit began.
    GivenUp,
    /// The session was to end before the outcome of the commit was known.
    Unknown,
}

impl Worker {
    /// Makes a client and takes the seat, which fences whoever had it. Blocks for as long as a question may take.
    pub(super) fn seated(
        settings: &Settings,
        transactions: Transactions,
        seat: Seat<'_>,
        plain: PlainProducer,
        era: &Era,
    ) -> Result<Self, PublishError> {
        let id = settings.transactional_id(seat);
        let config = settings.transactional(transactions, &id);
        let producer =
            ThreadedProducer::from_config_and_context(&config, BatchContext::default()).map_err(|error| setup_failure(&error))?;
        let worker = Self {
            producer,
            id,
            time_limit: transactions.time_limit,
            plain,
            question: settings.question_timeout(),
        };
        if era.is_over() {
            // Nobody waits for this one any more, and its seat may be another's.
            let text = "failed to open a Kafka session: the wall clock of this host was set back";
            return Err(PublishError::new(PublishErrorKind::Unavailable(Scope::Publisher), text));
        }
        worker.take_seat(settings.metadata_timeout)?;
        Ok(worker)
    }

    fn take_seat(&self, timeout: Duration) -> Result<(), PublishError> {
        let error = match self.producer.init_transactions(timeout) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let code = self.code(&error);
        let kind = if is_fence(code) {
            PublishErrorKind::Fenced
        } else {
            PublishErrorKind::Unavailable(Scope::Publisher)
        };
        let text = format!("failed to take the transactional id `{}`: {code}{}", self.id, advice(code));
        Err(PublishError::new(kind, text))
    }

    /// Works until the session is over.
    pub(super) fn run(&self, queue: &Queue) {
        while let Some(batch) = queue.next_batch() {
            let began = Instant::now();
            match self.transaction(queue, &batch) {
                Ok(answers) => {
                    let tokens = batch.iter().map(|(token, ..)| *token);
                    queue.report(tokens.zip(answers).map(|(token, delivery)| Report::new(token, Ok(delivery))));
                }
                Err(Failure::Of(place, code)) => {
                    queue.end();
                    let (token, partition, message) = &batch[place];
                    let error = self.error(message.topic(), *partition, code, began.elapsed());
                    queue.report([Report::new(*token, Err(error))]);
                    return;
                }
                Err(Failure::GivenUp | Failure::Unknown) => return,
            }
        }
    }

    /// One transaction, from its beginning to the known end of its commit.
    fn transaction(&self, queue: &Queue, batch: &[Waiting]) -> Result<Vec<Delivery>, Failure> {
        let context = self.producer.context();
        context.begin(batch.len());
        self.producer
            .begin_transaction()
            .map_err(|error| Failure::Of(0, self.code(&error)))?;
        let outcome = self.fill(queue, batch).and_then(|()| self.commit(queue));
        match outcome {
            Ok(()) => {}
            // It may still be committed: nothing is to be undone.
            Err(Failure::Unknown) => return Err(Failure::Unknown),
            Err(failure) => {
                // Without it consumers wait for the brokers' own time limit. Where it fails, the next owner of the seat does it.
                if let Err(error) = self.producer.abort_transaction(LAST) {
                    tracing::debug!(error = &error as &dyn std::error::Error, id = %self.id, "a Kafka transaction was left to the brokers to abort");
                }
                return Err(failure);
            }
        }
        context.answers().map_err(|(place, code)| Failure::Of(place, code))
    }

    /// Gives the events to the client.
    fn fill(&self, queue: &Queue, batch: &[Waiting]) -> Result<(), Failure> {
        for (place, (_, partition, message)) in batch.iter().enumerate() {
            while let Err((error, _)) = self.producer.send(record(message, Some(*partition), Box::new(place))) {
                let code = code_of(&error);
                if code == RDKafkaErrorCode::QueueFull {
                    if queue.is_over() {
                        return Err(Failure::GivenUp);
                    }
                    self.producer.context().wait(SLICE);
                } else if matches!(code, RDKafkaErrorCode::State | RDKafkaErrorCode::Fatal) {
                    // The client takes nothing more once the transaction has failed: the commit says why.
                    return Ok(());
                } else {
                    return Err(Failure::Of(place, code));
                }
            }
        }
        Ok(())
    }

    /// Commits. While the brokers do not answer the call is repeated, which continues it: they answer a repeated commit like the first.
    fn commit(&self, queue: &Queue) -> Result<(), Failure> {
        let mut until = None;
        loop {
            let error = match self.producer.commit_transaction(SLICE) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            match self.producer.context().failed() {
                // What only went down with its transaction says nothing; the error of the commit does.
                Some((_, code)) if is_consequence(code) && self.fatal().is_none() => {}
                Some((place, code)) => return Err(Failure::Of(place, self.fatal().unwrap_or(code))),
                None => {}
            }
            let again = if let KafkaError::Transaction(error) = &error {
                error.is_retriable() && !error.txn_requires_abort()
            } else {
                matches!(error, KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut))
            };
            if !again {
                return Err(Failure::Of(0, self.code(&error)));
            }
            if queue.is_over() && *until.get_or_insert(Instant::now() + LAST) <= Instant::now() {
                return Err(Failure::Unknown);
            }
        }
    }

    fn fatal(&self) -> Option<RDKafkaErrorCode> {
        self.producer.client().fatal_error().map(|(code, _)| code)
    }

    /// What is behind an error.
    fn code(&self, error: &KafkaError) -> RDKafkaErrorCode {
        self.fatal().unwrap_or_else(|| code_of(error))
    }

    /// What the end of a batch means.
    fn error(&self, topic: &str, partition: i32, code: RDKafkaErrorCode, took: Duration) -> PublishError {
        let attempt = "deliver in a Kafka transaction to";
        if is_fence(code) {
            // A transaction that outlives its time limit is aborted by the brokers, and its client is told the same as if it had been replaced.
            return if took >= self.time_limit {
                let text = format!("failed to {attempt} topic `{topic}`: it took {took:?}, longer than its time limit");
                PublishError::new(PublishErrorKind::Unavailable(Scope::Partition), text)
            } else {
                let text = format!(
                    "failed to {attempt} topic `{topic}`: another session took the transactional id `{}`",
                    self.id
                );
                PublishError::new(PublishErrorKind::Fenced, text)
            };
        }
        if code == RDKafkaErrorCode::NoOffset {
            let text = format!("failed to {attempt} topic `{topic}`: the client reported success without an offset");
            return PublishError::new(PublishErrorKind::Retriable, text);
        }
        // A leader that answers and took none of it in all that time may be closing the connection on it: one by one they show which.
        if code == RDKafkaErrorCode::MessageTimedOut && self.plain.ask_leader(topic, partition, self.question).is_ok() {
            return failure(PublishErrorKind::Retriable, attempt, topic, code);
        }
        let kind = match kind_of_batch(code) {
            // Whether the brokers are there is asked by other means; here it was one partition, or the coordinator, that did not answer.
            PublishErrorKind::Unavailable(Scope::Publisher) => PublishErrorKind::Unavailable(Scope::Partition),
            kind @ (PublishErrorKind::Unavailable(_)
            | PublishErrorKind::Throttled
            | PublishErrorKind::Retriable
            | PublishErrorKind::Rejected
            | PublishErrorKind::Fenced) => kind,
        };
        failure(kind, attempt, topic, code)
    }
}

/// Whether somebody else has the transactional id now.
fn is_fence(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced | RDKafkaErrorCode::InvalidProducerEpoch
    )
}

/// Whether an event failed only because something else had.
fn is_consequence(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight | RDKafkaErrorCode::Fatal
    )
}
