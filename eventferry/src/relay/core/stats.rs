//! What the core counts.

/// Counters since the relay started.
///
/// # Examples
/// What a service's health check looks at:
/// ```
/// use eventferry::relay::Stats;
///
/// fn complaint(stats: &Stats) -> Option<&'static str> {
///     match stats {
///         stats if stats.broker_away => Some("the broker is away"),
///         stats if stats.topics_away > 0 => Some("a topic is missing, or may not be written to"),
///         stats if stats.groups_fenced > 0 => Some("another producer uses our transactional ids"),
///         stats if stats.dead > 0 => Some("events died: look at them with `Operate`"),
///         _ => None,
///     }
/// }
///
/// assert_eq!(complaint(&Stats::default()), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Lanes held now.
    pub lanes: u32,
    /// Events the broker confirmed, each counted when confirmed.
    pub delivered: u64,
    /// Events recorded as delivered.
    pub acked: u64,
    /// Refusals after which an event waits for another attempt; the one that it dies of is counted in `dead`.
    pub failed: u64,
    /// Events that died, those that hold their aggregate included.
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
    /// Rows that were delivered, or refused, and cannot be recorded as such now, because somebody else has them locked.
    pub locked: u64,
    /// Rows in memory now: read, in flight, or waiting for their ack to commit.
    pub known: u64,
}
