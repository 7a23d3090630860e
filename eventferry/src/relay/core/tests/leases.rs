//! Lanes that are taken, kept, lost and handed back.

use std::time::Duration;

use super::{Bench, config, row, snapshot};
use crate::outbox::LaneLease;
use crate::relay::core::{Command, Core, Fact, LeaseCommand, Now};
use crate::store::{ReadBatch, Renewed};

#[test]
fn a_relay_whose_lease_may_be_over_sends_nothing() {
    let mut bench = Bench::new(config());
    bench.now = Duration::from_secs(15);
    let (number, _) = bench.main_read();
    let mut batch = ReadBatch::new(snapshot(1));
    batch.fresh = vec![row(1, "a")];
    bench.turn([Fact::Read {
        number,
        batch: Some(batch),
    }]);
    assert_eq!(bench.ids(), [0; 0]);
    assert_eq!(bench.core.stats().lanes, 0);
}

#[test]
fn a_stop_hands_everything_back_once_what_is_in_flight_is_recorded() {
    let mut bench = Bench::new(config());
    bench.read(|batch| batch.fresh = vec![row(1, "a"), row(2, "a")]);
    let sent = bench.handed_over();
    bench.turn([Fact::Stop]);
    let released = |bench: &Bench| {
        let lanes = bench.commands.iter().map(|c| {
            if let Command::Lease(LeaseCommand::Release(lanes)) = c {
                lanes.len()
            } else {
                0
            }
        });
        lanes.sum::<usize>()
    };
    assert_eq!(released(&bench), 63, "all but the lane of the event in flight");
    bench.turn([Fact::Delivered(vec![sent[0].1])]);
    assert_eq!(bench.ids(), [0; 0], "its successor is left to others");
    bench.turn([Fact::Acked { locked: Some(Vec::new()) }]);
    assert_eq!((released(&bench), bench.core.is_closed()), (64, true));
}

#[test]
fn a_lease_that_lapsed_and_came_back_does_not_take_in_the_read_that_was_under_way() {
    let mut bench = Bench::new(config());
    bench.read(|batch| batch.fresh = vec![row(10, "a"), row(11, "a")]);
    assert_eq!(bench.ids(), [10]);
    bench.turn([]);
    let (number, _) = bench.main_read();
    // Its renewal is under way when the process freezes past the end of the lease.
    bench.now = Duration::from_secs(16);
    bench.turn([]);
    let held: Vec<_> = (0..64).map(|lane| LaneLease::new(lane, 1)).collect();
    let answer = Renewed::new(held.clone(), 1);
    bench.turn([Fact::Renewed {
        asked_at: Duration::from_secs(14),
        held,
        answer,
    }]);
    assert_eq!(bench.core.stats().lanes, 64, "nobody else took them");
    let mut stale = ReadBatch::new(snapshot(1));
    stale.fresh = vec![row(50, "a")];
    bench.turn([Fact::Read {
        number,
        batch: Some(stale),
    }]);
    assert_eq!(bench.ids(), [0; 0], "11 comes first");
    let (_, lanes) = bench.main_read();
    assert!(lanes.iter().all(|lane| lane.cursor == 0));
}

/// The database was away from everybody: whoever is back first must not take the others for dead.
#[test]
fn after_an_outage_of_the_database_no_lane_is_taken_before_the_others_are_heard_of() {
    let mut bench = Bench {
        core: Core::new(config()),
        now: Now::ZERO,
        commands: Vec::new(),
    };
    let takes = |bench: &mut Bench| {
        let before = bench.commands.len();
        bench
            .commands
            .retain(|command| !matches!(command, Command::Lease(LeaseCommand::Take(_))));
        before > bench.commands.len()
    };
    bench.turn([]);
    bench.turn([Fact::LeaseCallFailed]);
    bench.now += Duration::from_secs(30);
    bench.turn([]);
    let asked_at = bench.now;
    bench.turn([Fact::Renewed {
        asked_at,
        held: Vec::new(),
        answer: Renewed::new(Vec::new(), 1),
    }]);
    assert!(!takes(&mut bench));
    let mut waited = Duration::ZERO;
    while !takes(&mut bench) {
        let step = Duration::from_millis(500);
        (waited, bench.now) = (waited + step, bench.now + step);
        bench.turn([]);
        let asked_at = bench.now;
        bench.turn([Fact::Renewed {
            asked_at,
            held: Vec::new(),
            answer: Renewed::new(Vec::new(), 1),
        }]);
        assert!(waited < Duration::from_secs(5));
    }
    assert!(waited >= Duration::from_secs(2), "{waited:?}");
}
