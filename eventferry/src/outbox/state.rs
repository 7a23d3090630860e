//! The states of a row and every move between them. Pure; `docs/state-machine.md` is the same as a table.

/// Where a row stands. The numbers are what the table holds.
///
/// # Examples
/// ```
/// use eventferry::outbox::Status;
///
/// assert!(Status::Dead.is_settled() && !Status::DeadHolding.is_settled());
/// assert_eq!(Status::from_code(Status::Failed.code()), Some(Status::Failed));
/// assert_eq!(Status::from_code(6), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i16)]
pub enum Status {
    /// Waiting to be delivered.
    Pending = 0,
    /// Waiting by itself for its time: scheduled, requeued from dead, or failed though unordered.
    Scheduled = 1,
    /// Delivered, or discarded by an operator.
    Done = 2,
    /// Refused; its aggregate waits with it until it is due again.
    Failed = 3,
    /// Given up; its successors went on.
    Dead = 4,
    /// Given up, and its aggregate waits for an operator.
    DeadHolding = 5,
}

impl Status {
    /// The status a stored number stands for.
    pub const fn from_code(code: i16) -> Option<Self> {
        Some(match code {
            0 => Self::Pending,
            1 => Self::Scheduled,
            2 => Self::Done,
            3 => Self::Failed,
            4 => Self::Dead,
            5 => Self::DeadHolding,
            _ => return None,
        })
    }

    /// The number the table holds.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Whether successors of the aggregate may go on: done and dead are settled, all else is not.
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Done | Self::Dead)
    }
}

/// What became of one attempt to deliver a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The broker has it.
    Delivered,
    /// The event itself was refused, perhaps not for ever; `attempts` counts this one.
    Refused {
        /// Attempts so far, this one included.
        attempts: u32,
    },
    /// The event can never be delivered.
    Rejected,
    /// Not the event's fault; nothing is counted.
    Unavailable,
}

/// What happens to the successors of an event that died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnDead {
    /// They go on.
    #[default]
    Continue,
    /// They wait until an operator requeues, releases or discards the dead one.
    Hold,
}

/// The status of a row after an attempt.
///
/// Total: every status and every outcome has an answer. `max_attempts` of 0 means for ever. Rows that are settled or held stay what they
/// are, except that a delivery always counts.
///
/// # Examples
/// ```
/// use eventferry::outbox::{OnDead, Outcome, Status, after_attempt};
///
/// let refused = |attempts| after_attempt(Status::Pending, true, Outcome::Refused { attempts }, 10, OnDead::Hold);
/// assert_eq!((refused(9), refused(10)), (Status::Failed, Status::DeadHolding));
/// let away = after_attempt(Status::Pending, true, Outcome::Unavailable, 10, OnDead::Hold);
/// assert_eq!(away, Status::Pending);
/// ```
pub fn after_attempt(status: Status, ordered: bool, outcome: Outcome, max_attempts: u32, on_dead: OnDead) -> Status {
    let dead = match (on_dead, ordered) {
        (OnDead::Hold, true) => Status::DeadHolding,
        (OnDead::Hold | OnDead::Continue, _) => Status::Dead,
    };
    match (status, outcome) {
        (_, Outcome::Delivered) => Status::Done,
        (Status::Done | Status::Dead | Status::DeadHolding, Outcome::Refused { .. } | Outcome::Rejected | Outcome::Unavailable)
        | (Status::Pending | Status::Scheduled | Status::Failed, Outcome::Unavailable) => status,
        (Status::Pending | Status::Scheduled | Status::Failed, Outcome::Rejected) => dead,
        (Status::Pending | Status::Scheduled | Status::Failed, Outcome::Refused { attempts }) => {
            if max_attempts != 0 && attempts >= max_attempts {
                dead
            } else if ordered {
                Status::Failed
            } else {
                Status::Scheduled
            }
        }
    }
}

/// What an operator may do to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the moves are the contract of `docs/state-machine.md`")]
pub enum Move {
    /// Deliver it after all, with fresh attempts and the same message id.
    Requeue,
    /// Leave it dead, and let the successors that it holds go on.
    Release,
    /// Never deliver it.
    Discard,
}

impl Move {
    /// Every move.
    pub const ALL: [Self; 3] = [Self::Requeue, Self::Release, Self::Discard];
}

/// What a move does to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Effect {
    /// The row stands there now.
    To(Status),
    /// The row is marked, and due at once: the relay that holds its lane settles it when nothing of its aggregate is in flight. Were it
    /// settled from outside, its successors could pass while it is on its way itself.
    Mark,
    /// The row is not in a state that allows the move; nothing changes.
    Refused,
}

/// What an operator's move does to a row that stands at `status`.
///
/// Total. A row that goes from dead to scheduled has lost its place: its successors have gone on, so it is no longer ordered. One that held
/// its aggregate goes back to its place before them.
///
/// # Examples
/// ```
/// use eventferry::outbox::{Effect, Move, Status, after_move};
///
/// assert_eq!(after_move(Status::Dead, Move::Requeue), Effect::To(Status::Scheduled));
/// assert_eq!(after_move(Status::DeadHolding, Move::Release), Effect::To(Status::Dead));
/// assert_eq!(after_move(Status::Failed, Move::Discard), Effect::Mark);
/// assert_eq!(after_move(Status::Done, Move::Requeue), Effect::Refused);
/// ```
pub const fn after_move(status: Status, what: Move) -> Effect {
    match (what, status) {
        (Move::Requeue, Status::Dead) => Effect::To(Status::Scheduled),
        (Move::Requeue, Status::DeadHolding) => Effect::To(Status::Failed),
        (Move::Release, Status::DeadHolding) => Effect::To(Status::Dead),
        (Move::Discard, Status::Dead | Status::DeadHolding) => Effect::To(Status::Done),
        (Move::Discard, Status::Scheduled | Status::Failed) => Effect::Mark,
        (Move::Requeue, Status::Pending | Status::Scheduled | Status::Done | Status::Failed)
        | (Move::Release, Status::Pending | Status::Scheduled | Status::Done | Status::Failed | Status::Dead)
        | (Move::Discard, Status::Pending | Status::Done) => Effect::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Status; 6] = [
        Status::Pending,
        Status::Scheduled,
        Status::Done,
        Status::Failed,
        Status::Dead,
        Status::DeadHolding,
    ];

    #[test]
    fn codes_are_the_contract_of_the_table() {
        for (code, status) in (0..).zip(ALL) {
            assert_eq!((status.code(), Status::from_code(code)), (code, Some(status)));
        }
        assert_eq!(Status::from_code(6), None);
    }

    #[test]
    fn an_outage_changes_nothing() {
        for status in ALL {
            assert_eq!(after_attempt(status, true, Outcome::Unavailable, 1, OnDead::Continue), status);
        }
    }

    #[test]
    fn a_delivery_always_counts() {
        for status in ALL {
            assert_eq!(after_attempt(status, true, Outcome::Delivered, 1, OnDead::Hold), Status::Done);
        }
    }

    #[test]
    fn a_late_refusal_does_not_revive_what_is_settled() {
        for status in [Status::Done, Status::Dead, Status::DeadHolding] {
            assert_eq!(
                after_attempt(status, true, Outcome::Refused { attempts: 1 }, 10, OnDead::Continue),
                status
            );
        }
    }

    #[test]
    fn only_ordered_rows_park_or_hold() {
        let refused = |ordered, attempts, on_dead| after_attempt(Status::Pending, ordered, Outcome::Refused { attempts }, 3, on_dead);
        assert_eq!(refused(true, 2, OnDead::Hold), Status::Failed);
        assert_eq!(refused(true, 3, OnDead::Hold), Status::DeadHolding);
        assert_eq!(refused(true, 3, OnDead::Continue), Status::Dead);
        assert_eq!(refused(false, 2, OnDead::Hold), Status::Scheduled);
        assert_eq!(refused(false, 3, OnDead::Hold), Status::Dead);
    }

    #[test]
    fn no_move_touches_what_is_done_or_on_its_way_for_the_first_time() {
        for what in Move::ALL {
            for status in [Status::Pending, Status::Done] {
                assert_eq!(after_move(status, what), Effect::Refused, "{what:?} {status:?}");
            }
        }
    }

    #[test]
    fn only_a_row_that_no_relay_sends_is_moved_from_outside() {
        for what in Move::ALL {
            for status in ALL {
                if let Effect::To(_) = after_move(status, what) {
                    assert!(matches!(status, Status::Dead | Status::DeadHolding), "{what:?} {status:?}");
                }
            }
        }
        assert_eq!(after_move(Status::Failed, Move::Discard), Effect::Mark);
        assert_eq!(after_move(Status::Scheduled, Move::Discard), Effect::Mark);
    }

    #[test]
    fn a_requeued_row_is_back_in_its_place_only_if_it_held_it() {
        assert_eq!(after_move(Status::Dead, Move::Requeue), Effect::To(Status::Scheduled));
        assert_eq!(after_move(Status::DeadHolding, Move::Requeue), Effect::To(Status::Failed));
        assert_eq!(after_move(Status::DeadHolding, Move::Release), Effect::To(Status::Dead));
        assert_eq!(after_move(Status::Dead, Move::Release), Effect::Refused, "it holds nobody");
    }

    #[test]
    fn zero_attempts_means_for_ever() {
        let outcome = Outcome::Refused { attempts: u32::MAX };
        assert_eq!(after_attempt(Status::Failed, true, outcome, 0, OnDead::Continue), Status::Failed);
    }
}
