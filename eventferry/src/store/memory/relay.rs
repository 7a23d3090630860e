//! What a relay asks: lanes, reads, acks, verdicts, purge.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::duration_micros;
use crate::mutant::{Mutant, mutant};
use crate::outbox::{LaneLease, Outcome, Payload, Record, RowId, Status, after_attempt, lane_of};
use crate::store::memory::MemoryStore;
use crate::store::memory::state::{Lane, Row, State};
use crate::store::{
    AggregateRead, Doing, DueCursor, DueRow, Fault, LaneRead, Opened, ReadBatch, RelayId, Renewed, Retention, Skimmed, Snapshot, Store,
    StoreError, StoreErrorKind, Taken, Verdict, VerdictOutcome,
};

/// Whether a stored end of a lease lies within one lease length from now; anything else is over.
fn is_live(until: i64, now: i64, lease: i64) -> bool {
    until > now && until <= now.saturating_add(lease)
}

impl Lane {
    fn is(&self, relay: RelayId, lease: LaneLease) -> bool {
        self.owner == Some(relay) && self.epoch == lease.epoch
    }

    fn is_free(&self, now: i64, lease: i64) -> bool {
        self.owner.is_none() || !is_live(self.leased_until, now, lease)
    }

    fn take(&mut self, number: u8, relay: RelayId, relays: &HashMap<RelayId, (i64, Doing)>, now: i64, lease: i64) -> Taken {
        // An owner that was heard of after its lease was over has not died, nor has one whose lease ends only later: the clock was put back.
        let alive = |owner: &RelayId| {
            relays
                .get(owner)
                .is_some_and(|(seen, _)| *seen >= self.leased_until && *seen <= now)
        };
        let died = self
            .owner
            .is_some_and(|owner| owner != relay && self.leased_until <= now && !alive(&owner));
        self.deaths = self.deaths.saturating_add(u32::from(died));
        self.owner = Some(relay);
        self.epoch += 1;
        self.leased_until = now.saturating_add(lease);
        Taken::new(LaneLease::new(number, self.epoch), self.deaths)
    }
}

impl Row {
    fn is_read_in_order(&self) -> bool {
        matches!(self.record.status, Status::Pending | Status::Failed | Status::DeadHolding)
    }

    fn is_due(&self, now: i64) -> bool {
        matches!(self.record.status, Status::Scheduled | Status::Failed) && self.available_at <= now
    }

    /// A verdict's effect on a row that is pending, scheduled or failed.
    fn refuse(&mut self, verdict: &Verdict, now: i64) -> VerdictOutcome {
        let again = self.record.attempts != verdict.attempts && !matches!(verdict.fault, Fault::Rejected | Fault::Discarded);
        if again {
            return VerdictOutcome::Waits {
                attempts: self.record.attempts,
            };
        }
        let (outcome, max_attempts) = match verdict.fault {
            Fault::Discarded => return self.discard_asked(now),
            Fault::Rejected => (Outcome::Rejected, 0),
            Fault::Begun { max_attempts } if max_attempts != 0 && self.record.attempts >= max_attempts => (Outcome::Rejected, 0),
            Fault::Begun { .. } => {
                self.record.attempts = self.record.attempts.saturating_add(1);
                (Outcome::Unavailable, 0)
            }
            Fault::Excused => {
                self.record.attempts = self.record.attempts.saturating_sub(1);
                (Outcome::Unavailable, 0)
            }
            Fault::Refused { delay, max_attempts } | Fault::RefusedAlone { delay, max_attempts } => {
                let counts = u32::from(matches!(verdict.fault, Fault::Refused { .. }));
                self.record.attempts = self.record.attempts.saturating_add(counts);
                self.available_at = now.saturating_add(duration_micros(delay));
                (
                    Outcome::Refused {
                        attempts: self.record.attempts,
                    },
                    max_attempts,
                )
            }
        };
        self.record.status = after_attempt(self.record.status, self.record.ordered, outcome, max_attempts, verdict.on_dead);
        if !verdict.error.is_empty() {
            self.last_error = Some(verdict.error.clone());
        }
        match self.record.status {
            Status::Dead => VerdictOutcome::Dead,
            Status::DeadHolding => VerdictOutcome::Holds,
            Status::Pending | Status::Scheduled | Status::Done | Status::Failed => VerdictOutcome::Waits {
                attempts: self.record.attempts,
            },
        }
    }
}

impl State {
    fn fail(&mut self, relay: RelayId, verdict: &Verdict, now: i64) -> VerdictOutcome {
        let owns = self
            .lanes
            .get(usize::from(verdict.lease.lane))
            .is_some_and(|lane| lane.is(relay, verdict.lease) || mutant(Mutant::VerdictWithoutLane));
        let Some(row) = self
            .committed_mut(verdict.row.id)
            .filter(|row| row.record.message_id == verdict.row.message_id)
        else {
            return VerdictOutcome::Settled;
        };
        match row.record.status {
            Status::Done | Status::Dead => VerdictOutcome::Settled,
            Status::DeadHolding => VerdictOutcome::Holds,
            Status::Pending | Status::Scheduled | Status::Failed if owns && row.record.lane() == verdict.lease.lane => {
                row.refuse(verdict, now)
            }
            Status::Pending | Status::Scheduled | Status::Failed => VerdictOutcome::LaneLost,
        }
    }

    fn named(&self, row: RowId) -> Option<&Row> {
        self.committed(row.id).filter(|found| found.record.message_id == row.message_id)
    }
}

impl Store for MemoryStore {
    async fn open(&self, relay: RelayId) -> Result<Opened, StoreError> {
        let now = self.now();
        self.state().relays.insert(relay, (now, Doing::Sharing));
        Ok(Opened::new(self.shared.lease, self.state().source.clone()))
    }

    async fn renew(&self, relay: RelayId, held: &[LaneLease], doing: Doing) -> Result<Renewed, StoreError> {
        let (now, lease) = (self.now(), duration_micros(self.shared.lease));
        let mut state = self.state();
        state.relays.insert(relay, (now, doing));
        let mut kept = Vec::new();
        for wanted in held {
            let lane = state.lanes.get_mut(usize::from(wanted.lane)).filter(|lane| lane.is(relay, *wanted));
            if let Some(lane) = lane {
                lane.leased_until = now.saturating_add(lease);
                kept.push(*wanted);
            }
        }
        let alive = |seen: i64| seen <= now && seen > now.saturating_sub(lease);
        let others = state
            .relays
            .iter()
            .filter(|(id, (seen, doing))| **id != relay && alive(*seen) && *doing == Doing::Sharing)
            .count();
        Ok(Renewed::new(kept, u32::try_from(1 + others).unwrap_or(u32::MAX)))
    }

    async fn take(&self, relay: RelayId, limit: u8) -> Result<Vec<Taken>, StoreError> {
        let (now, lease) = (self.now(), duration_micros(self.shared.lease));
        let mut state = self.state();
        let State { lanes, relays, .. } = &mut *state;
        let free = (0..).zip(lanes.iter_mut()).filter(|(_, lane)| lane.is_free(now, lease));
        let taken = free
            .take(usize::from(limit))
            .map(|(number, lane)| lane.take(number, relay, relays, now, lease));
        Ok(taken.collect())
    }

    async fn take_groups(&self, relay: RelayId, groups: &[u8], size: u8, limit: u8) -> Result<Vec<Taken>, StoreError> {
        let (now, lease) = (self.now(), duration_micros(self.shared.lease));
        let mut state = self.state();
        let State { lanes, relays, .. } = &mut *state;
        let mut taken = Vec::new();
        let mut left = limit;
        for (group, lanes) in (0..).zip(lanes.chunks_exact_mut(usize::from(size.max(1)))) {
            if left > 0 && groups.contains(&group) && lanes.iter().all(|lane| lane.is_free(now, lease)) {
                left -= 1;
                let numbered = (group * size..).zip(lanes.iter_mut());
                taken.extend(numbered.map(|(number, lane)| lane.take(number, relay, relays, now, lease)));
            }
        }
        Ok(taken)
    }

    async fn forgive(&self, relay: RelayId, lanes: &[LaneLease]) -> Result<(), StoreError> {
        let mut state = self.state();
        for lease in lanes {
            let lane = state.lanes.get_mut(usize::from(lease.lane)).filter(|lane| lane.is(relay, *lease));
            if let Some(lane) = lane {
                lane.deaths = 0;
            }
        }
        Ok(())
    }

    async fn release(&self, relay: RelayId, lanes: &[LaneLease]) -> Result<(), StoreError> {
        let mut state = self.state();
        for lease in lanes {
            let lane = state.lanes.get_mut(usize::from(lease.lane)).filter(|lane| lane.is(relay, *lease));
            if let Some(lane) = lane {
                lane.owner = None;
            }
        }
        Ok(())
    }

    async fn close(&self, relay: RelayId) -> Result<(), StoreError> {
        self.state().relays.remove(&relay);
        Ok(())
    }

    async fn read(&self, last: Option<&Snapshot>, lanes: &[LaneRead]) -> Result<ReadBatch, StoreError> {
        if last.is_none() && lanes.iter().any(|lane| lane.cursor != 0) {
            return Err(StoreError::new(
                StoreErrorKind::Invalid,
                "cannot read lanes beyond a cursor without the snapshot the cursor belongs to",
            ));
        }
        let now = self.now();
        let state = self.state();
        let mut snapshot = Snapshot::new(state.source.clone(), 1, state.xmax());
        snapshot.in_progress = state.in_progress();
        let mut batch = ReadBatch::new(snapshot);
        if let Some(last) = last.filter(|_| !mutant(Mutant::CursorAndSweep)) {
            let was_invisible = |row: &Row| row.tx >= last.xmax || last.in_progress.contains(&row.tx);
            let is_late = |row: &&Row| {
                let lane = row.record.lane();
                row.record.status == Status::Pending
                    && was_invisible(row)
                    && lanes.iter().any(|read| read.lane == lane && row.record.id <= read.cursor)
            };
            batch.late = state
                .visible()
                .filter(is_late)
                .take(state.late_limit)
                .map(|row| row.read(now))
                .collect();
            batch.late_is_full = batch.late.len() == state.late_limit;
        }
        // One pass over the table for all lanes: what is left of each lane's limit goes down as its rows come by, in the order of ids.
        let mut left: HashMap<u8, LaneRead> = lanes.iter().map(|read| (read.lane, *read)).collect();
        for row in state.visible().filter(|row| row.is_read_in_order()) {
            let wanted = left
                .get_mut(&row.record.lane())
                .filter(|read| read.limit > 0 && row.record.id > read.cursor);
            if let Some(read) = wanted {
                read.limit -= 1;
                batch.fresh.push(row.read(now));
            }
        }
        batch.fresh.sort_by_key(|record| (record.lane(), record.id));
        Ok(batch)
    }

    async fn skim(&self, lanes: &[LaneRead]) -> Result<Vec<Skimmed>, StoreError> {
        let state = self.state();
        let mut found = Vec::new();
        for read in lanes {
            let ahead = |row: &&Row| row.is_read_in_order() && row.record.lane() == read.lane && row.record.id > read.cursor;
            for row in state.visible().filter(ahead).take(read.limit as usize) {
                let Record {
                    id, order_key, ordered, ..
                } = row.record;
                let same = |group: &&mut Skimmed| (group.order_key, group.ordered) == (order_key, ordered);
                match found.iter_mut().find(same) {
                    Some(group) => (group.last, group.rows) = (id, group.rows + 1),
                    None => found.push(Skimmed::new(order_key, ordered, id, id, 1)),
                }
            }
        }
        Ok(found)
    }

    async fn read_aggregates(&self, wanted: &[AggregateRead], limit: u32) -> Result<Vec<Record>, StoreError> {
        let now = self.now();
        let state = self.state();
        let mut found = Vec::new();
        for read in wanted {
            let of_it = |row: &&Row| {
                let record = &row.record;
                record.order_key == read.order_key && record.ordered == read.ordered && record.id > read.after && row.is_read_in_order()
            };
            found.extend(state.visible().filter(of_it).take(limit as usize).map(|row| row.read(now)));
        }
        Ok(found)
    }

    async fn read_due(&self, lanes: &[(u8, DueCursor)], limit: u32) -> Result<Vec<DueRow>, StoreError> {
        let now = self.now();
        let state = self.state();
        let mut lanes = lanes.to_vec();
        lanes.sort_unstable_by_key(|(lane, _)| *lane);
        let mut found = Vec::new();
        for (lane, after) in lanes {
            let due = state
                .visible()
                .filter(|row| lane_of(row.record.order_key) == lane && row.is_due(now));
            let mut due: Vec<DueRow> = due
                .map(|row| {
                    let mut record = row.read(now);
                    if record.ordered && record.payload != Payload::Tombstone {
                        record.payload = Payload::Deferred(record.payload.len());
                    }
                    DueRow::new(record, DueCursor::new(row.available_at, row.record.id))
                })
                .filter(|row| row.at > after)
                .collect();
            due.sort_unstable_by_key(|row| row.at);
            found.extend(due.into_iter().take(limit as usize));
        }
        Ok(found)
    }

    async fn read_payload(&self, row: RowId) -> Result<Option<Option<Vec<u8>>>, StoreError> {
        let state = self.state();
        Ok(state.named(row).map(|row| match &row.record.payload {
            Payload::Bytes(bytes) => Some(bytes.clone()),
            Payload::Tombstone | Payload::Deferred(_) => None,
        }))
    }

    async fn look_up(&self, rows: &[RowId]) -> Result<Vec<Option<Status>>, StoreError> {
        let state = self.state();
        Ok(rows.iter().map(|row| state.named(*row).map(|row| row.record.status)).collect())
    }

    async fn done(&self, rows: &[RowId], retention: Retention) -> Result<Vec<RowId>, StoreError> {
        let now = self.now();
        let mut state = self.state();
        for row in rows {
            let Some(found) = state
                .committed_mut(row.id)
                .filter(|found| found.record.message_id == row.message_id || mutant(Mutant::AckById))
            else {
                continue;
            };
            match retention {
                Retention::Delete => state.delete(row.id),
                Retention::Keep(_) if found.record.status == Status::Done => {}
                Retention::Keep(_) => {
                    found.record.status = Status::Done;
                    found.processed_at = Some(now);
                }
            }
        }
        Ok(Vec::new())
    }

    async fn fail(&self, relay: RelayId, verdicts: &[Verdict]) -> Result<Vec<VerdictOutcome>, StoreError> {
        let now = self.now();
        let mut state = self.state();
        Ok(verdicts.iter().map(|verdict| state.fail(relay, verdict, now)).collect())
    }

    async fn purge(&self, older_than: Duration, limit: u32) -> Result<u64, StoreError> {
        let before = self.now().saturating_sub(duration_micros(older_than));
        let mut state = self.state();
        let old = |row: &&Row| row.record.status == Status::Done && row.processed_at.is_some_and(|at| at < before);
        let ids: Vec<i64> = state.visible().filter(old).take(limit as usize).map(|row| row.record.id).collect();
        for id in &ids {
            state.delete(*id);
        }
        Ok(ids.len() as u64)
    }
}
