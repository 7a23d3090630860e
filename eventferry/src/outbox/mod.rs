//! What a row is: order keys, lanes, states, retries. Pure: no I/O, no clock, no async.

mod lane;
mod record;
mod retry;
mod state;

pub use lane::{LANES, LOCK_SLOTS, LaneLease, fair_share, lane_of, order_key};
pub use record::{NewRecord, Payload, Record, RowId};
pub use retry::RetryPolicy;
pub use state::{Effect, Move, OnDead, Outcome, Status, after_attempt, after_move};
