//! What befalls a database, for the simulator: failover to an older copy, operators, stolen lanes.

use crate::event::MessageId;
use crate::outbox::{LANES, Status};
use crate::store::RelayId;
use crate::store::memory::MemoryStore;
use crate::store::memory::state::{End, State};

/// The database as it was at some moment: what a lagging standby has.
#[derive(Debug, Clone)]
pub(crate) struct Copy(State);

/// What an operator does about a dead row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    Requeue,
    Release,
    Discard,
}

impl MemoryStore {
    /// How many late rows one read returns at most.
    pub(crate) fn limit_late(&self, rows: usize) {
        self.state().late_limit = rows;
    }

    pub(crate) fn copy(&self) -> Copy {
        Copy(self.state().clone())
    }

    /// Another server takes over with what it has. Every transaction must have ended: their connections are gone.
    pub(crate) fn fail_over(&self, copy: Copy) {
        let Copy(mut state) = copy;
        for tx in state.in_progress() {
            state.end(tx, End::RolledBack);
        }
        state.source.push('+');
        *self.state() = state;
    }

    /// Whether a committed row is neither delivered nor given up.
    pub(crate) fn has_unsettled(&self) -> bool {
        self.state().visible().any(|row| !row.record.status.is_settled())
    }

    /// Committed rows that are dead, or dead and holding.
    pub(crate) fn dead(&self) -> Vec<(MessageId, Status)> {
        let state = self.state();
        let dead = state.visible().map(|row| (row.record.message_id, row.record.status));
        dead.filter(|(_, status)| matches!(status, Status::Dead | Status::DeadHolding))
            .collect()
    }

    /// Where a row stands, and how many attempts were counted against it.
    pub(crate) fn standing(&self, message_id: MessageId) -> Option<(Status, u32)> {
        self.state()
            .by_message_id(message_id)
            .map(|row| (row.record.status, row.record.attempts))
    }

    /// Which event the row of an id is.
    pub(crate) fn message_at(&self, id: i64) -> Option<MessageId> {
        self.state().committed(id).map(|row| row.record.message_id)
    }

    /// Who holds a lane, under which epoch.
    pub(crate) fn owner(&self, lane: u8) -> (Option<RelayId>, i64) {
        let lane = self.state().lanes[usize::from(lane % LANES)];
        (lane.owner, lane.epoch)
    }

    /// Frees a lane behind its owner's back.
    pub(crate) fn steal(&self, lane: u8) {
        self.state().lanes[usize::from(lane % LANES)].owner = None;
    }

    pub(crate) fn operate(&self, message_id: MessageId, action: Move) {
        let now = self.now();
        let mut state = self.state();
        let Some(id) = state.by_message_id(message_id).map(|row| row.record.id) else {
            return;
        };
        let Some(row) = state.committed_mut(id) else { return };
        match (action, row.record.status) {
            (Move::Requeue, Status::Dead) => {
                row.record.status = Status::Scheduled;
                row.record.ordered = false;
            }
            (Move::Requeue, Status::DeadHolding) => row.record.status = Status::Failed,
            (Move::Release, Status::DeadHolding) => row.record.status = Status::Dead,
            (Move::Discard, Status::Dead | Status::DeadHolding) => row.record.status = Status::Done,
            (Move::Requeue | Move::Release | Move::Discard, _) => return,
        }
        if action == Move::Requeue {
            row.record.attempts = 0;
            row.available_at = now;
        }
    }
}
