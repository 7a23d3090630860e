//! The publishing stage: sessions, one for each group of lanes, and many plain calls beside them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::core::{Cause, Fact, HandOver, PublishCommand, Way};
use super::sessions::Sessions;
use super::{dead_letter, observe};
use crate::event::Message;
use crate::publish::{Presence, PublishError, PublishErrorKind, Publisher, Scope, Seat, Session};

/// How long a broker may take to say that it is there.
const PROBE_DEADLINE: Duration = Duration::from_secs(5);

/// What a call under way comes back with.
pub(super) enum Answer {
    Facts(Vec<Fact>),
    Opened {
        number: u64,
        session: Result<Box<dyn Session>, PublishError>,
    },
}

/// Calls under way.
pub(super) type Calls = FuturesUnordered<Pin<Box<dyn Future<Output = Answer> + Send>>>;

struct Stage<P> {
    publisher: Arc<P>,
    outbox: Arc<str>,
    deadline: Duration,
    sessions: Sessions,
    calls: Calls,
}

pub(super) async fn run<P: Publisher>(
    publisher: Arc<P>,
    outbox: Arc<str>,
    deadline: Duration,
    mut commands: mpsc::UnboundedReceiver<PublishCommand>,
    facts: mpsc::UnboundedSender<Fact>,
) {
    let mut stage = Stage {
        publisher,
        outbox,
        deadline,
        sessions: Sessions::default(),
        calls: Calls::new(),
    };
    let mut batch = Vec::with_capacity(64);
    loop {
        let told: Vec<Fact> = tokio::select! {
            count = commands.recv_many(&mut batch, 64) => {
                if count == 0 {
                    break;
                }
                for command in batch.drain(..) {
                    stage.obey(command);
                }
                Vec::new()
            }
            (place, reports) = stage.sessions.reports() => stage.sessions.take_reports(place, reports, &mut stage.calls),
            Some(answer) = stage.calls.next() => match answer {
                Answer::Facts(facts) => facts,
                Answer::Opened { number, session } => stage.opened(number, session),
            },
        };
        for fact in told {
            if facts.send(fact).is_err() {
                return;
            }
        }
    }
    stage.sessions.close_all(&mut stage.calls);
    while let Some(answer) = stage.calls.next().await {
        if let Answer::Opened { session: Ok(session), .. } = answer {
            drop(session.close().await);
        }
    }
}

impl<P: Publisher> Stage<P> {
    fn obey(&mut self, command: PublishCommand) {
        match command {
            PublishCommand::HandOver(batch) => {
                for hand_over in batch {
                    self.send(hand_over);
                }
            }
            PublishCommand::Probe { number, topic } => {
                let (publisher, deadline) = (self.publisher.clone(), self.deadline.min(PROBE_DEADLINE));
                self.call(async move {
                    let presence = timeout(deadline, probe(&*publisher, &topic)).await;
                    let presence = presence.unwrap_or(Presence::Away);
                    Answer::Facts(vec![Fact::Probed { number, presence }])
                });
            }
            PublishCommand::Describe(topic) => {
                let (publisher, deadline) = (self.publisher.clone(), self.deadline);
                self.call(async move {
                    let partitions = match publisher.pipelined() {
                        Some(pipelined) => timeout(deadline, pipelined.partitions(&topic)).await.unwrap_or_else(|_| {
                            let text = format!("failed to look up topic `{topic}`: no answer within {deadline:?}");
                            Err(PublishError::new(PublishErrorKind::Unavailable(Scope::Topic), text))
                        }),
                        None => Ok(0),
                    };
                    let partitions = partitions.map_err(|error| {
                        observe::not_described(&topic, &error);
                        error.kind()
                    });
                    Answer::Facts(vec![Fact::Described { topic, partitions }])
                });
            }
            PublishCommand::Learn { topic, schema } => {
                let (publisher, deadline) = (self.publisher.clone(), self.deadline);
                self.call(async move {
                    let learned = match publisher.learns() {
                        Some(learns) => timeout(deadline, learns.learn(&topic, &schema)).await,
                        None => Ok(Ok(())),
                    };
                    let problem = match learned {
                        Ok(Ok(())) => None,
                        Ok(Err(error)) => Some(observe::chain(&error)),
                        Err(_) => Some(format!("no answer within {deadline:?}")),
                    };
                    if let Some(problem) = &problem {
                        observe::not_learned(&topic, &schema, problem);
                    }
                    Answer::Facts(vec![Fact::Learned { topic, schema, problem }])
                });
            }
            PublishCommand::OpenSession { session: number, group } => {
                let (publisher, outbox) = (self.publisher.clone(), self.outbox.clone());
                self.sessions.expect(number);
                self.call(async move {
                    let session = match publisher.pipelined() {
                        Some(pipelined) => pipelined.open(Seat::new(&outbox, group)).await,
                        None => Err(PublishError::new(
                            PublishErrorKind::Unavailable(Scope::Publisher),
                            "failed to open a session: the publisher has none any more",
                        )),
                    };
                    Answer::Opened { number, session }
                });
            }
            PublishCommand::CloseSession(number) => self.sessions.close(number, &mut self.calls),
        }
    }

    fn call(&self, call: impl Future<Output = Answer> + Send + 'static) {
        self.calls.push(Box::pin(call));
    }

    fn opened(&mut self, number: u64, session: Result<Box<dyn Session>, PublishError>) -> Vec<Fact> {
        match session {
            Ok(session) => self.sessions.opened(number, session, &mut self.calls),
            Err(error) => {
                self.sessions.forget(number);
                observe::session_over(number, &error);
                // Whatever else is wrong with a session that cannot be opened concerns every event of it.
                let kind = if error.kind() == PublishErrorKind::Fenced {
                    PublishErrorKind::Fenced
                } else {
                    PublishErrorKind::Unavailable(Scope::Publisher)
                };
                let cause = Some(Cause { token: None, kind });
                vec![Fact::SessionOver { session: number, cause }]
            }
        }
    }

    fn send(&mut self, hand_over: HandOver) {
        let HandOver { token, way } = hand_over;
        let (publisher, deadline) = (self.publisher.clone(), self.deadline);
        match way {
            Way::Pipelined {
                session,
                partition,
                record,
                source,
            } => self.sessions.hand_over(session, token, partition, || record.into_message(&source)),
            Way::Plain { record, source } => self.call(async move {
                let message = record.into_message(&source);
                Answer::Facts(call(&*publisher, deadline, token, message).await)
            }),
            Way::DeadLetter { letter } => self.call(async move {
                let message = dead_letter::message(*letter);
                Answer::Facts(call(&*publisher, deadline, token, message).await)
            }),
        }
    }
}

async fn probe<P: Publisher>(publisher: &P, topic: &str) -> Presence {
    let Some(pipelined) = publisher.pipelined() else {
        return publisher.probe().await;
    };
    match pipelined.partitions(topic).await {
        Err(error) if error.kind() == PublishErrorKind::Unavailable(Scope::Publisher) => Presence::Away,
        // A refusal is an answer, too.
        Ok(_) | Err(_) => Presence::There,
    }
}

async fn call<P: Publisher>(publisher: &P, deadline: Duration, token: u64, message: Message) -> Vec<Fact> {
    let (kind, error) = match timeout(deadline, publisher.publish(&message)).await {
        Ok(Ok(_)) => return vec![Fact::Delivered(vec![token])],
        Ok(Err(error)) => {
            observe::refused(&message, &error);
            (error.kind(), observe::chain(&error))
        }
        // Nobody's fault that can be told: the same event goes again, never the next.
        Err(_) => (
            PublishErrorKind::Unavailable(Scope::Partition),
            format!("no answer within {deadline:?}"),
        ),
    };
    vec![Fact::Refused {
        token,
        kind,
        error,
        message: Box::new(message),
    }]
}
