//! What the core knows of a lane, and of a row.

use super::Now;
use crate::outbox::LaneLease;
use crate::store::DueCursor;

/// One lane as its owner sees it.
#[derive(Debug, Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says one thing of the lane that depends on no other"
)]
pub(super) struct Lane {
    pub(super) lease: Option<LaneLease>,
    /// A lease whose time passed here before its renewal was answered.
    pub(super) lapsed: Option<LaneLease>,
    pub(super) valid_until: Now,
    pub(super) cursor: i64,
    /// How many rows the next read asks for.
    pub(super) appetite: u32,
    pub(super) draining: Option<Now>,
    /// Rows in flight, or delivered and not yet acked, or waiting for a verdict.
    pub(super) open: u32,
    /// Its events go one at a time.
    pub(super) careful: bool,
    /// The last read found less than it asked for.
    pub(super) caught_up: bool,
    /// Nearly all of its rows are left in the table: it is looked through, not read.
    pub(super) skimming: bool,
    /// How many owners in a row ended with it in their hands, and when that is forgotten.
    pub(super) deaths: u32,
    pub(super) well_at: Now,
    pub(super) due: DueAt,
    /// Every row that was due has been met since the lane was taken.
    pub(super) due_seen: bool,
    pub(super) full_pass_at: Now,
    /// When the pass from the start that is under way began, and up to which id it goes.
    pub(super) pass: Option<(Now, i64)>,
    /// While a pass from the start is under way: up to here rows should be known.
    pub(super) passing: i64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct DueAt(pub(super) DueCursor);

impl Default for DueAt {
    fn default() -> Self {
        Self(DueCursor::START)
    }
}

/// What is known of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Queued,
    InFlight,
    Delivered,
    Judging,
    /// Answered for when this many reads had been issued: one of those may still return it as it was. A later one is believed.
    Settled(u64),
}
