//! The open sessions of the publishing stage.

use std::collections::VecDeque;

use futures_util::future::select_all;

use super::core::{Cause, Fact};
use super::observe;
use super::publish::{Answer, Calls};
use crate::event::Message;
use crate::publish::{Full, Report, Session};

/// An open session, and what it had no room for.
struct Open {
    number: u64,
    session: Box<dyn Session>,
    overflow: VecDeque<(u64, i32, Message)>,
}

/// One for each group of lanes that has something to send.
#[derive(Default)]
pub(super) struct Sessions {
    open: Vec<Open>,
    /// Being opened; those that are to be closed again at once are marked.
    expected: Vec<(u64, bool)>,
}

impl Sessions {
    pub(super) fn expect(&mut self, number: u64) {
        self.expected.push((number, false));
    }

    pub(super) fn forget(&mut self, number: u64) -> bool {
        let place = self.expected.iter().position(|(expected, _)| *expected == number);
        place.is_some_and(|place| self.expected.swap_remove(place).1)
    }

    pub(super) fn opened(&mut self, number: u64, session: Box<dyn Session>, calls: &mut Calls) -> Vec<Fact> {
        let doomed = self.forget(number);
        let opened = Open {
            number,
            session,
            overflow: VecDeque::new(),
        };
        if doomed {
            calls.push(Box::pin(end(opened, None)));
            return Vec::new();
        }
        self.open.push(opened);
        vec![Fact::SessionOpened { session: number }]
    }

    pub(super) fn close(&mut self, number: u64, calls: &mut Calls) {
        if let Some(expected) = self.expected.iter_mut().find(|(expected, _)| *expected == number) {
            expected.1 = true;
        }
        if let Some(place) = self.open.iter().position(|open| open.number == number) {
            calls.push(Box::pin(end(self.open.swap_remove(place), None)));
        }
    }

    pub(super) fn close_all(&mut self, calls: &mut Calls) {
        for open in self.open.drain(..) {
            calls.push(Box::pin(end(open, None)));
        }
    }

    /// Where there is no such session, the news of its end is under way; the core puts the event back.
    pub(super) fn hand_over(&mut self, number: u64, token: u64, partition: i32, message: impl FnOnce() -> Message) {
        if let Some(open) = self.open.iter_mut().find(|open| open.number == number) {
            open.overflow.push_back((token, partition, message()));
            open.push_on();
        }
    }

    /// Waits for reports of any session; answers its place.
    ///
    /// Cancel safe, as each session's reports are.
    pub(super) async fn reports(&mut self) -> (usize, Vec<Report>) {
        match self.open.as_mut_slice() {
            [] => std::future::pending().await,
            [one] => (0, one.session.reports().await),
            many => {
                let (reports, place, _) = select_all(many.iter_mut().map(|open| open.session.reports())).await;
                (place, reports)
            }
        }
    }

    /// Turns reports into facts; the first failure ends the session.
    pub(super) fn take_reports(&mut self, place: usize, reports: Vec<Report>, calls: &mut Calls) -> Vec<Fact> {
        let mut delivered = Vec::with_capacity(reports.len());
        let mut cause = None;
        for report in reports {
            match report.result {
                Ok(_) => delivered.push(report.token),
                Err(error) => {
                    cause.get_or_insert_with(|| {
                        observe::session_over(self.open[place].number, &error);
                        Cause {
                            token: Some(report.token),
                            kind: error.kind(),
                        }
                    });
                }
            }
        }
        if cause.is_some() {
            calls.push(Box::pin(end(self.open.swap_remove(place), cause)));
        } else {
            self.open[place].push_on();
        }
        if delivered.is_empty() {
            Vec::new()
        } else {
            vec![Fact::Delivered(delivered)]
        }
    }
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

/// Closes a session: its last deliveries are told before its end is.
async fn end(ending: Open, cause: Option<Cause>) -> Answer {
    let last = ending.session.close().await;
    let delivered: Vec<u64> = last
        .into_iter()
        .filter(|report| report.result.is_ok())
        .map(|report| report.token)
        .collect();
    Answer::Facts(vec![
        Fact::Delivered(delivered),
        Fact::SessionOver {
            session: ending.number,
            cause,
        },
    ])
}
