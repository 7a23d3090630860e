//! The states of a row and every move between them. Pure; `docs/state-machine.md` is the same as a table.

/// Where a row stands. The numbers are what the table holds.
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
    fn zero_attempts_means_for_ever() {
        let outcome = Outcome::Refused { attempts: u32::MAX };
        assert_eq!(after_attempt(Status::Failed, true, outcome, 0, OnDead::Continue), Status::Failed);
    }
}
