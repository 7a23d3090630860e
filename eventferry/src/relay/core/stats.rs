//! What the core counts.

/// Counters since the relay started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Lanes held now.
    pub lanes: u32,
    /// Events the broker confirmed, each counted when confirmed.
    pub delivered: u64,
    /// Events recorded as delivered.
    pub acked: u64,
    /// Attempts counted against events.
    pub failed: u64,
    /// Events that died.
    pub dead: u64,
    /// Waiting events that were settled because an operator asked to discard them.
    pub discarded: u64,
    /// Verdicts refused because the lane had another owner.
    pub fenced: u64,
    /// Lanes taken.
    pub takeovers: u64,
    /// Broker sessions that ended before the relay did.
    pub sessions_rebuilt: u64,
    /// Rows found only by the pass from the start that each lane gets every five minutes; anything but 0 is a defect.
    pub strays: u64,
    /// Reads thrown away because the server or the connection was another one.
    pub resets: u64,
    /// Lanes whose events go one at a time now, because relays ended again and again with them in their hands.
    pub careful: u32,
    /// Groups of lanes that this relay leaves alone now, because another producer uses their transactional id.
    pub groups_fenced: u32,
    /// Whether the broker is away now; what it concerns waits, uncounted.
    pub broker_away: bool,
    /// How many topics are away now: missing, or not to be written to.
    pub topics_away: u32,
    /// How many schemas of a topic are away now: unknown to the relay, or not to be had from the schema registry.
    pub schemas_away: u32,
    /// Rows in memory now: read, in flight, or waiting for their ack to commit.
    pub known: u64,
}
