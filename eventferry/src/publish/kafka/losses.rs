//! Connections lost under events: how a session notices that an event, or a batch, makes the broker hang up.
//!
//! The client says nothing of it. It sends the same batch again after every reconnect, for ever, and its partition waits behind it. Only the
//! statistics tell: the number of connections that were lost to the broker that leads the partition.

use std::collections::{HashMap, VecDeque};

use serde::Deserialize;

/// How often the client counts.
pub(super) const EVERY: &str = "1000";
/// How many connections in a row must be lost under an event before it is a suspect.
const ENOUGH: i64 = 3;

/// How many connections each partition's leader has lost, by topic.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Losses(HashMap<String, HashMap<i32, i64>>);

#[derive(Deserialize)]
struct Statistics {
    brokers: HashMap<String, Broker>,
}

#[derive(Deserialize)]
struct Broker {
    #[serde(default)]
    disconnects: i64,
    toppars: HashMap<String, Place>,
}

#[derive(Deserialize)]
struct Place {
    topic: String,
    partition: i32,
}

impl Losses {
    /// Reads librdkafka's statistics; none if they are not understood.
    pub(super) fn read(json: &[u8]) -> Option<Self> {
        let statistics: Statistics = serde_json::from_slice(json).ok()?;
        let mut losses = Self::default();
        for broker in statistics.brokers.into_values().filter(|broker| broker.disconnects > 0) {
            for place in broker.toppars.into_values() {
                losses.0.entry(place.topic).or_default().insert(place.partition, broker.disconnects);
            }
        }
        Some(losses)
    }

    /// How many connections the leader of a partition has lost.
    pub(super) fn of(&self, topic: &str, partition: i32) -> i64 {
        self.0
            .get(topic)
            .and_then(|partitions| partitions.get(&partition))
            .copied()
            .unwrap_or(0)
    }
}

/// What is on its way to a partition, and how many connections were lost since something last arrived there.
#[derive(Debug, Default)]
pub(super) struct Stillness {
    in_flight: VecDeque<u64>,
    moved: bool,
    lost: i64,
}

impl Stillness {
    /// An event went to the client.
    pub(super) fn sent(&mut self, token: u64) {
        self.moved |= self.in_flight.is_empty();
        self.in_flight.push_back(token);
    }

    /// An event was delivered. Within a partition, deliveries are told in the order of the log.
    pub(super) fn delivered(&mut self, token: u64) {
        self.moved = true;
        if let Some(place) = self.in_flight.iter().position(|sent| *sent == token) {
            self.in_flight.remove(place);
        }
    }

    /// Starts again with the next count, whatever was lost until then.
    pub(super) fn forgive(&mut self) {
        self.moved = true;
    }

    /// Whether something arrived, or was forgiven, since the last count.
    pub(super) fn moved(&self) -> bool {
        self.moved
    }

    /// The event that has been on its way longest.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.in_flight.front().copied()
    }

    /// Takes a count of the connections lost to the leader; says whether there were several while something was on its way and nothing arrived.
    pub(super) fn suspicious(&mut self, lost: i64) -> bool {
        // A partition that moved to another leader counts by that one's connections.
        if self.moved || self.in_flight.is_empty() || lost < self.lost {
            self.lost = lost;
            self.moved = false;
        }
        lost - self.lost >= ENOUGH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leaders_losses_are_read_for_each_partition() {
        let json = br#"{"name":"p","brokers":{
            "a:1/1":{"name":"a:1/1","disconnects":4,"toppars":{"orders-0":{"topic":"orders","partition":0}}},
            "a:1/2":{"disconnects":0,"toppars":{"orders-1":{"topic":"orders","partition":1}}},
            "GroupCoordinator":{"toppars":{}}},"topics":{"orders":{"partitions":{"0":{"x":[1]}}}}}"#;
        let losses = Losses::read(json).unwrap();
        assert_eq!((losses.of("orders", 0), losses.of("orders", 1), losses.of("other", 0)), (4, 0, 0));
        assert_eq!(Losses::read(b"{}"), None);
    }

    #[test]
    fn three_losses_with_nothing_delivered_between_them_are_suspicious() {
        let mut still = Stillness::default();
        assert!(!still.suspicious(7), "nothing was on its way");
        still.sent(1);
        still.sent(2);
        assert!(!still.suspicious(9), "counted from when it was sent");
        assert!(!still.suspicious(11));
        assert!(still.suspicious(12));
        assert_eq!(still.oldest(), Some(1));
        still.delivered(1);
        assert!(!still.suspicious(12), "something arrived");
        assert!(!still.suspicious(14));
        assert!(!still.suspicious(2), "another leader");
        assert!(still.suspicious(5) && !still.moved());
        still.forgive();
        assert!(!still.suspicious(9), "the leader was away");
        assert_eq!(still.oldest(), Some(2));
    }
}
