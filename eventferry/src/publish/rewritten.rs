//! A session whose messages are changed on their way, for publishers around another one.

use std::mem;

use crate::event::Message;
use crate::publish::{BoxFuture, Full, PublishError, PublishErrorKind, Report, Scope, Session};

/// What changes a message, without waiting, and takes the change back where the session within gives the message back.
pub(super) trait Rewrite: Send {
    /// What it takes to make the message again what it was, without having copied it.
    type Undo;

    /// Changes a message; one that cannot be changed stays as it was.
    fn rewrite(&self, message: &mut Message) -> Result<Self::Undo, PublishError>;

    fn undo(message: &mut Message, undo: Self::Undo);
}

pub(super) struct RewrittenSession<R> {
    session: Box<dyn Session>,
    rewrite: R,
    /// Of an event that could not be changed; the session is over then, as after any failure.
    refused: Option<Report>,
    over: bool,
}

impl<R: Rewrite + 'static> RewrittenSession<R> {
    pub(super) fn boxed(session: Box<dyn Session>, rewrite: R) -> Box<dyn Session> {
        Box::new(Self {
            session,
            rewrite,
            refused: None,
            over: false,
        })
    }
}

/// The answer of a publisher around another one whose pipelined side is gone.
pub(super) fn gone() -> PublishError {
    PublishError::new(
        PublishErrorKind::Unavailable(Scope::Publisher),
        "failed to use a session: the publisher has none any more",
    )
}

impl<R: Rewrite + 'static> Session for RewrittenSession<R> {
    fn hand_over(&mut self, token: u64, partition: i32, mut message: Message) -> Result<(), Full> {
        // An event behind one that failed may be of the same aggregate.
        if self.over {
            return Err(Full(message));
        }
        match self.rewrite.rewrite(&mut message) {
            Ok(undo) => self.session.hand_over(token, partition, message).map_err(|Full(mut message)| {
                // What comes back is what was given: the caller may look at it, and may take it elsewhere.
                R::undo(&mut message, undo);
                Full(message)
            }),
            Err(error) => {
                self.over = true;
                self.refused = Some(Report::new(token, Err(error)));
                Ok(())
            }
        }
    }

    fn reports(&mut self) -> BoxFuture<'_, Vec<Report>> {
        match &mut self.refused {
            // Taken when the wait ends and not when it begins: a wait may be dropped before anybody looks at it.
            Some(_) => Box::pin(async { mem::take(&mut self.refused).into_iter().collect() }),
            None => self.session.reports(),
        }
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Vec<Report>> {
        Box::pin(async move {
            let mut reports = self.session.close().await;
            reports.extend(self.refused);
            reports
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::publish::Delivery;

    /// What the session within was given, and how much more it takes.
    #[derive(Clone, Default)]
    struct Within(Arc<Mutex<(Vec<Message>, usize)>>);

    impl Within {
        fn topics(&self) -> Vec<String> {
            self.0.lock().unwrap().0.iter().map(|message| message.topic.clone()).collect()
        }

        fn make_room(&self, places: usize) {
            self.0.lock().unwrap().1 += places;
        }
    }

    impl Session for Within {
        fn hand_over(&mut self, _: u64, _: i32, message: Message) -> Result<(), Full> {
            let mut inner = self.0.lock().unwrap();
            inner.1 = match inner.1.checked_sub(1) {
                Some(left) => left,
                None => return Err(Full(message)),
            };
            inner.0.push(message);
            Ok(())
        }

        fn reports(&mut self) -> BoxFuture<'_, Vec<Report>> {
            Box::pin(std::future::pending())
        }

        fn close(self: Box<Self>) -> BoxFuture<'static, Vec<Report>> {
            Box::pin(async { vec![Report::new(1, Ok(Delivery::at(0, 0)))] })
        }
    }

    /// Marks a message, and cannot mark those of the topic `bad`.
    struct Mark;

    impl Rewrite for Mark {
        type Undo = usize;

        fn rewrite(&self, message: &mut Message) -> Result<usize, PublishError> {
            let before = message.topic.len();
            if message.topic == "bad" {
                return Err(gone());
            }
            message.topic.push('!');
            Ok(before)
        }

        fn undo(message: &mut Message, before: usize) {
            message.topic.truncate(before);
        }
    }

    fn session(room: usize) -> (Within, Box<dyn Session>) {
        let within = Within::default();
        within.make_room(room);
        (within.clone(), RewrittenSession::boxed(Box::new(within), Mark))
    }

    fn tokens(reports: &[Report]) -> Vec<(u64, bool)> {
        reports.iter().map(|report| (report.token, report.result.is_ok())).collect()
    }

    /// What is there to be reported now; the session within never reports anything by itself.
    fn next(session: &mut Box<dyn Session>) -> Vec<Report> {
        let mut wait = session.reports();
        let mut context = Context::from_waker(Waker::noop());
        match wait.as_mut().poll(&mut context) {
            Poll::Ready(reports) => reports,
            Poll::Pending => panic!("the report was lost"),
        }
    }

    #[tokio::test]
    async fn after_an_event_that_could_not_be_changed_none_is_handed_on() {
        let (within, mut session) = session(10);
        assert!(session.hand_over(1, 0, Message::new("a", "")).is_ok());
        assert!(session.hand_over(2, 0, Message::new("bad", "")).is_ok());
        let Err(Full(back)) = session.hand_over(3, 0, Message::new("b", "")) else {
            panic!("an event passed the one before it");
        };
        assert_eq!(back.topic, "b");
        assert_eq!(tokens(&next(&mut session)), [(2, false)]);
        assert!(session.hand_over(3, 0, back).is_err(), "it is over for good");
        assert_eq!(within.topics(), ["a!"]);
        assert_eq!(tokens(&session.close().await), [(1, true)], "and nothing is reported twice");
    }

    #[test]
    fn a_wait_that_is_dropped_before_it_began_loses_no_report() {
        let (_, mut session) = session(10);
        assert!(session.hand_over(2, 0, Message::new("bad", "")).is_ok());
        drop(session.reports());
        assert_eq!(tokens(&next(&mut session)), [(2, false)]);
    }

    #[tokio::test]
    async fn what_nobody_waited_for_is_reported_at_the_end() {
        let (_, mut session) = session(10);
        assert!(session.hand_over(1, 0, Message::new("a", "")).is_ok());
        assert!(session.hand_over(2, 0, Message::new("bad", "")).is_ok());
        assert_eq!(tokens(&session.close().await), [(1, true), (2, false)]);
    }

    #[test]
    fn what_comes_back_for_want_of_room_is_what_was_given_and_is_changed_once() {
        let (within, mut session) = session(0);
        let given = Message::new("a", "");
        let Err(Full(back)) = session.hand_over(1, 0, given.clone()) else {
            panic!("there was no room");
        };
        assert_eq!(back, given);
        within.make_room(1);
        assert!(session.hand_over(1, 0, back).is_ok());
        assert_eq!(within.topics(), ["a!"]);
    }
}
