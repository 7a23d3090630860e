//! What an operator does.

use crate::clock::{from_micros, rfc3339};
use crate::event::{MessageId, Operator, headers};
use crate::outbox::{Move, Payload, Status};
use crate::store::memory::MemoryStore;
use crate::store::memory::state::Row;
use crate::store::{Moved, Operate, RowFilter, ShowPayload, StoreError, StoredRow, VerdictOutcome, moved, steps};

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

    fn shown(&self, now: i64, payload: ShowPayload) -> StoredRow {
        let mut record = self.whole(now);
        if payload == ShowPayload::Leave && record.payload != Payload::Tombstone {
            record.payload = Payload::Deferred(record.payload.len());
        }
        let mut row = StoredRow::new(record);
        let waits = matches!(self.record.status, Status::Scheduled | Status::Failed);
        row.available_at = waits.then(|| from_micros(self.available_at));
        row.processed_at = self.processed_at.map(from_micros);
        row.last_error.clone_from(&self.last_error);
        row
    }

    fn is_wanted(&self, filter: &RowFilter) -> bool {
        let record = &self.record;
        let of_aggregate = |(kind, id): &(String, String)| record.aggregate_type == *kind && record.aggregate_id == *id;
        filter.statuses.contains(&record.status)
            && filter.topic.as_ref().is_none_or(|topic| record.topic == *topic)
            && filter.aggregate.as_ref().is_none_or(of_aggregate)
    }

    /// Makes a move; where the row stands then, or none if the move does not begin where it stands.
    fn step(&mut self, what: Move, from: &[Status], by: &Operator, now: i64) -> Option<Status> {
        let step = steps(what, from).into_iter().find(|step| step.from == self.record.status)?;
        let record = &mut self.record;
        record.headers.set(step.trace, format!("{} {by}", rfc3339(from_micros(now))));
        if what == Move::Requeue {
            record.attempts = 0;
            record.headers.remove(headers::OPERATOR_DISCARD_ASKED);
        }
        match step.to {
            Status::Scheduled | Status::Failed => self.available_at = now,
            Status::Done => self.processed_at = Some(now),
            Status::Pending | Status::Dead | Status::DeadHolding => {}
        }
        record.ordered = record.ordered && step.to != Status::Scheduled;
        record.status = step.to;
        Some(step.to)
    }
}

impl Operate for MemoryStore {
    async fn list(&self, filter: &RowFilter, after: i64, limit: u32) -> Result<Vec<StoredRow>, StoreError> {
        filter.check()?;
        let now = self.now();
        let state = self.state();
        let wanted = state.visible().filter(|row| row.record.id > after && row.is_wanted(filter));
        Ok(wanted.take(limit as usize).map(|row| row.shown(now, ShowPayload::Leave)).collect())
    }

    async fn show(&self, id: MessageId, payload: ShowPayload) -> Result<Option<StoredRow>, StoreError> {
        let now = self.now();
        Ok(self.state().by_message_id(id).map(|row| row.shown(now, payload)))
    }

    async fn apply_to(&self, what: Move, ids: &[MessageId], from: &[Status], by: &Operator) -> Result<Vec<Moved>, StoreError> {
        let now = self.now();
        let mut state = self.state();
        let answers = ids.iter().map(|id| {
            let place = state.by_message_id(*id).map(|row| row.record.id);
            let Some(row) = place.and_then(|id| state.committed_mut(id)) else {
                return Moved::NotThere;
            };
            let found = row.record.status;
            moved(what, from, row.step(what, from, by, now), Some(found))
        });
        Ok(answers.collect())
    }
}
