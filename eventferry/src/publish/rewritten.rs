//! A session whose messages are changed on their way, for publishers around another one.

use crate::event::Message;
use crate::publish::{BoxFuture, Full, PublishError, PublishErrorKind, Report, Scope, Session};

/// What changes a message, without waiting. What was changed already is left alone: a message may come back for want of room.
pub(super) trait Rewrite: Send {
    fn rewrite(&self, message: &mut Message) -> Result<(), PublishError>;
}

pub(super) struct RewrittenSession<R> {
    session: Box<dyn Session>,
    rewrite: R,
    refused: Vec<Report>,
}

impl<R: Rewrite + 'static> RewrittenSession<R> {
    pub(super) fn boxed(session: Box<dyn Session>, rewrite: R) -> Box<dyn Session> {
        Box::new(Self {
            session,
            rewrite,
            refused: Vec::new(),
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
        match self.rewrite.rewrite(&mut message) {
            Ok(()) => self.session.hand_over(token, partition, message),
            Err(error) => {
                self.refused.push(Report::new(token, Err(error)));
                Ok(())
            }
        }
    }

    fn reports(&mut self) -> BoxFuture<'_, Vec<Report>> {
        if self.refused.is_empty() {
            return self.session.reports();
        }
        let refused = std::mem::take(&mut self.refused);
        Box::pin(async { refused })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Vec<Report>> {
        Box::pin(async move {
            let mut reports = self.session.close().await;
            reports.extend(self.refused);
            reports
        })
    }
}
