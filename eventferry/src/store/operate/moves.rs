//! What a move does to a row, for the statements to go by and for the operator to be told.

use crate::event::headers;
use crate::outbox::{Effect, Move, Status, after_move};

/// What a move did to one row.
#[doc = include_str!("examples/moved.md")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Moved {
    /// The row stands there now.
    To(Status),
    /// The row is asked for: the relay that holds its lane settles it when nothing of its aggregate is in flight.
    Asked,
    /// There is no row of this message id: it was delivered and deleted, purged, or never there.
    NotThere,
    /// The row stands where this move does not begin; nothing changed.
    NotAllowed(Status),
    /// Somebody else is writing the row at this moment: its owner records what became of it, or another operator moves it. Look again.
    Busy,
}

/// What a move did to many rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MovedMany {
    /// Rows that stand elsewhere now.
    pub moved: u64,
    /// Rows that are asked for.
    pub asked: u64,
    /// Rows that somebody else was writing; ask again for these.
    pub busy: u64,
    /// Rows that the move does not apply to, or does not any more.
    pub unchanged: u64,
}

impl MovedMany {
    pub(super) fn add(&mut self, moved: Moved) {
        *match moved {
            Moved::To(_) => &mut self.moved,
            Moved::Asked => &mut self.asked,
            Moved::Busy => &mut self.busy,
            Moved::NotThere | Moved::NotAllowed(_) => &mut self.unchanged,
        } += 1;
    }
}

/// The header that a move leaves on a row.
pub(super) const fn trace_name(what: Move) -> &'static str {
    match what {
        Move::Requeue => headers::OPERATOR_REQUEUED,
        Move::Release => headers::OPERATOR_RELEASED,
        Move::Discard => headers::OPERATOR_DISCARDED,
    }
}

/// One line of a move's table, for a statement to go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) from: Status,
    pub(crate) to: Status,
    pub(crate) trace: &'static str,
}

/// From where a move leads where, of the statuses given: the statements know no table of their own.
pub(crate) fn steps(what: Move, from: &[Status]) -> Vec<Step> {
    let step = |from: &Status| match after_move(*from, what) {
        Effect::To(to) => Some(Step {
            from: *from,
            to,
            trace: trace_name(what),
        }),
        Effect::Mark => Some(Step {
            from: *from,
            to: *from,
            trace: headers::OPERATOR_DISCARD_ASKED,
        }),
        Effect::Refused => None,
    };
    from.iter().filter_map(step).collect()
}

/// What a move did to a row: `now` is where the statement says it stands if it moved it, `found` where it was seen if it did not.
pub(crate) fn moved(what: Move, from: &[Status], now: Option<Status>, found: Option<Status>) -> Moved {
    match (now, found) {
        // A mark leaves the row where it waits; no move of another kind ends in one of the states where a discard marks.
        (Some(status), _) if what == Move::Discard && after_move(status, what) == Effect::Mark => Moved::Asked,
        (Some(status), _) => Moved::To(status),
        (None, None) => Moved::NotThere,
        (None, Some(status)) if from.contains(&status) && after_move(status, what) != Effect::Refused => Moved::Busy,
        (None, Some(status)) => Moved::NotAllowed(status),
    }
}
