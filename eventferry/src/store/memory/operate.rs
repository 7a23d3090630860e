//! What an operator does.

use crate::event::headers;
use crate::outbox::Status;
use crate::store::VerdictOutcome;
use crate::store::memory::state::Row;

impl Row {
    /// Settles a waiting row that an operator asked to discard; one that is not asked for any more waits as before.
    pub(super) fn discard_asked(&mut self, now: i64) -> VerdictOutcome {
        let asked = self.record.headers.get(headers::OPERATOR_DISCARD_ASKED).map(str::to_owned);
        let Some(asked) = asked.filter(|_| self.record.is_discard_asked()) else {
            return VerdictOutcome::Waits {
                attempts: self.record.attempts,
            };
        };
        self.record.headers.set(headers::OPERATOR_DISCARDED, asked);
        self.record.status = Status::Done;
        self.processed_at = Some(now);
        VerdictOutcome::Discarded
    }
}
