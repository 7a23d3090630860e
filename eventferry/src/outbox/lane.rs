//! Which lane an aggregate belongs to, and what a lease of a lane is.

use sha2::{Digest, Sha256};

/// How many lanes every outbox has, for ever: rows keep the lane they were written with.
pub const LANES: u8 = 64;

/// How many lock slots the aggregates of one outbox share while they write (see `docs/design.md`, commit order).
pub const LOCK_SLOTS: i64 = 4096;

/// The order key of an aggregate: what its events are kept in order by.
///
/// The first eight bytes, big-endian and signed, of SHA-256 over the type, a NUL and the id, in UTF-8. Two aggregates that share a key
/// (one such pair is expected among six thousand million aggregates) are kept in order with each other, which is harmless.
///
/// # Examples
/// ```
/// assert_eq!(eventferry::order_key("order", "42"), 5_258_547_217_334_460_993);
/// ```
pub fn order_key(aggregate_type: &str, aggregate_id: &str) -> i64 {
    let digest = Sha256::new()
        .chain_update(aggregate_type)
        .chain_update([0])
        .chain_update(aggregate_id)
        .finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(first)
}

/// The lane of an order key: its lowest six bits, so that negative keys also land in 0 to 63.
///
/// # Examples
/// ```
/// use eventferry::order_key;
/// use eventferry::outbox::{LANES, lane_of};
///
/// assert!(lane_of(order_key("order", "42")) < LANES);
/// assert_eq!((lane_of(64), lane_of(-1)), (0, 63));
/// ```
pub fn lane_of(order_key: i64) -> u8 {
    u8::try_from(order_key & i64::from(LANES - 1)).unwrap_or(0)
}

/// One relay's right to carry one lane, until somebody takes it with a higher epoch.
///
/// # Examples
/// ```
/// use eventferry::outbox::LaneLease;
///
/// let (mine, later) = (LaneLease::new(7, 1), LaneLease::new(7, 2));
/// assert!(mine.lane == later.lane && mine.epoch < later.epoch, "lane 7 was taken by somebody else");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct LaneLease {
    /// The lane, 0 to 63.
    pub lane: u8,
    /// Rises by one each time the lane is taken; a verdict under an older epoch is refused.
    pub epoch: i64,
}

impl LaneLease {
    /// A lease as a store reports it.
    pub const fn new(lane: u8, epoch: i64) -> Self {
        Self { lane, epoch }
    }
}

/// How many lanes one of `relays` live relays aims at; at least one relay is counted.
///
/// # Examples
/// ```
/// use eventferry::outbox::fair_share;
///
/// assert_eq!([1, 2, 3, 64, 100].map(fair_share), [64, 32, 22, 1, 1]);
/// ```
pub fn fair_share(relays: u32) -> u8 {
    u8::try_from(u32::from(LANES).div_ceil(relays.max(1))).unwrap_or(LANES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_keys_match_the_published_vectors() {
        assert_eq!(order_key("order", "42"), 5_258_547_217_334_460_993);
        assert_eq!(order_key("order", ""), 574_821_658_150_774_913);
        assert_eq!(order_key("ä", "1"), 6_855_715_734_108_600_257);
    }

    #[test]
    fn negative_keys_land_in_a_lane() {
        assert_eq!(lane_of(-1), 63);
        assert_eq!(lane_of(i64::MIN), 0);
        assert_eq!(lane_of(64), 0);
    }

    #[test]
    fn shares_cover_all_lanes() {
        for relays in 0..200 {
            assert!(u32::from(fair_share(relays)) * relays.max(1) >= u32::from(LANES));
        }
        assert_eq!((fair_share(0), fair_share(1), fair_share(3), fair_share(100)), (64, 64, 22, 1));
    }
}
