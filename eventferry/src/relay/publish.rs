//! The publishing stage: one session at the most, and many plain calls beside it.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::core::{Cause, Fact, HandOver, PublishCommand, Way};
use super::{dead_letter, observe};
use crate::event::Message;
use crate::publish::{Full, Presence, PublishErrorKind, Publisher, Report, Scope, Seat, Session};

/// How long a broker may take to say that it is there.
const PROBE_DEADLINE: Duration = Duration::from_secs(5);

type Calls = FuturesUnordered<Pin<Box<dyn Future<Output = Vec<Fact>> + Send>>>;

/// The open session, and what it had no room for.
struct Open {
    number: u64,
    session: Box<dyn Session>,
    overflow: VecDeque<(u64, i32, Message)>,
}

pub(super) async fn run<P: Publisher>(
    publisher: Arc<P>,
    deadline: Duration,
    mut commands: mpsc::UnboundedReceiver<PublishCommand>,
    facts: mpsc::UnboundedSender<Fact>,
) {
    let mut open: Option<Open> = None;
    let mut calls = Calls::new();
    let mut batch = Vec::with_capacity(64);
    loop {
        let told: Vec<Fact> = tokio::select! {
            count = commands.recv_many(&mut batch, 64) => {
                if count == 0 {
                    break;
                }
                let mut told = Vec::new();
                for command in batch.drain(..) {
                    told.extend(obey(&publisher, deadline, &mut open, &mut calls, command).await);
                }
                told
            }
            reports = next_reports(&mut open) => take_reports(&mut open, &mut calls, reports),
            Some(told) = calls.next() => told,
        };
        for fact in told {
            if facts.send(fact).is_err() {
                return;
            }
        }
    }
    if let Some(open) = open {
        drop(open.session.close().await);
    }
    while calls.next().await.is_some() {}
}

async fn next_reports(open: &mut Option<Open>) -> Vec<Report> {
    match open {
        Some(open) => open.session.reports().await,
        None => std::future::pending().await,
    }
}

async fn obey<P: Publisher>(
    publisher: &Arc<P>,
    deadline: Duration,
    open: &mut Option<Open>,
    calls: &mut Calls,
    command: PublishCommand,
) -> Vec<Fact> {
    match command {
        PublishCommand::HandOver(batch) => {
            for hand_over in batch {
                send(publisher, deadline, open.as_mut(), calls, hand_over);
            }
            Vec::new()
        }
        PublishCommand::Probe { number, topic } => {
            let publisher = publisher.clone();
            calls.push(Box::pin(async move {
                let presence = timeout(deadline.min(PROBE_DEADLINE), probe(&*publisher, &topic)).await;
                let presence = presence.unwrap_or(Presence::Away);
                vec![Fact::Probed { number, presence }]
            }));
            Vec::new()
        }
        PublishCommand::Describe(topic) => {
            let publisher = publisher.clone();
            calls.push(Box::pin(async move {
                let partitions = match publisher.pipelined() {
                    Some(pipelined) => pipelined.partitions(&topic).await,
                    None => Ok(0),
                };
                let partitions = partitions.map_err(|error| {
                    observe::not_described(&topic, &error);
                    error.kind()
                });
                vec![Fact::Described { topic, partitions }]
            }));
            Vec::new()
        }
        PublishCommand::OpenSession(number) => match publisher.pipelined() {
            Some(pipelined) => match pipelined.open(Seat::new("", 0)).await {
                Ok(session) => {
                    *open = Some(Open {
                        number,
                        session,
                        overflow: VecDeque::new(),
                    });
                    vec![Fact::SessionOpened { session: number }]
                }
                Err(error) => {
                    observe::session_over(number, &error);
                    vec![Fact::SessionOver {
                        session: number,
                        cause: Some(Cause {
                            token: None,
                            kind: PublishErrorKind::Unavailable(Scope::Publisher),
                        }),
                    }]
                }
            },
            None => Vec::new(),
        },
        PublishCommand::CloseSession(number) => {
            if let Some(ending) = open.take_if(|open| open.number == number) {
                calls.push(Box::pin(end(ending, None)));
            }
            Vec::new()
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

fn send<P: Publisher>(publisher: &Arc<P>, deadline: Duration, open: Option<&mut Open>, calls: &mut Calls, hand_over: HandOver) {
    let HandOver { token, way } = hand_over;
    match way {
        Way::Pipelined { partition, record, source } => {
            // Without a session this one was handed over while the news of its end was under way; the core puts it back.
            if let Some(open) = open {
                open.overflow.push_back((token, partition, record.into_message(&source)));
                open.push_on();
            }
        }
        Way::Plain { record, source } => {
            let publisher = publisher.clone();
            calls.push(Box::pin(async move {
                call(&*publisher, deadline, token, record.into_message(&source)).await
            }));
        }
        Way::DeadLetter { letter } => {
            let publisher = publisher.clone();
            calls.push(Box::pin(async move {
                call(&*publisher, deadline, token, dead_letter::message(*letter)).await
            }));
        }
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

impl Open {
    /// Hands over what is waiting, in order, until the session has no room.
    fn push_on(&mut self) {
        while let Some((token, partition, message)) = self.overflow.pop_front() {
            if let Err(Full(message)) = self.session.hand_over(token, partition, message) {
                self.overflow.push_front((token, partition, message));
                return;
            }
        }
    }
}

/// Turns reports into facts; the first failure ends the session.
fn take_reports(open: &mut Option<Open>, calls: &mut Calls, reports: Vec<Report>) -> Vec<Fact> {
    let mut delivered = Vec::with_capacity(reports.len());
    let mut cause = None;
    for report in reports {
        match report.result {
            Ok(_) => delivered.push(report.token),
            Err(error) => {
                cause.get_or_insert_with(|| {
                    observe::session_over(open.as_ref().map_or(0, |open| open.number), &error);
                    Cause {
                        token: Some(report.token),
                        kind: error.kind(),
                    }
                });
            }
        }
    }
    if cause.is_some() {
        if let Some(ending) = open.take() {
            calls.push(Box::pin(end(ending, cause)));
        }
    } else if let Some(open) = open {
        open.push_on();
    }
    if delivered.is_empty() {
        Vec::new()
    } else {
        vec![Fact::Delivered(delivered)]
    }
}

/// Closes a session: its last deliveries are told before its end is.
async fn end(ending: Open, cause: Option<Cause>) -> Vec<Fact> {
    let last = ending.session.close().await;
    let delivered: Vec<u64> = last
        .into_iter()
        .filter(|report| report.result.is_ok())
        .map(|report| report.token)
        .collect();
    vec![
        Fact::Delivered(delivered),
        Fact::SessionOver {
            session: ending.number,
            cause,
        },
    ]
}
