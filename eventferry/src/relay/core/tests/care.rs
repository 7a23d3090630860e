//! When lanes whose owners ended with them in their hands are well again.

use super::alone::{WAITS, lane};
use super::{Bench, config, row};
use crate::outbox::LaneLease;
use crate::publish::Presence;
use crate::relay::core::Fact;
use crate::store::{Fault, Taken, VerdictOutcome};

#[test]
fn a_lane_that_sent_all_it_could_is_well_at_once() {
    let mut bench = Bench::new(config());
    bench.taken_again(|_| 2);
    bench.read(|batch| batch.fresh = vec![row(1, "a")]);
    bench.beat(1);
    assert_eq!(bench.forgiven(), 0, "a row that is due may be the event, and none was looked for");
    bench.nothing_is_due();
    bench.beat(1);
    assert_eq!(bench.forgiven(), 63, "all but the one with an event on its way");
    let sent = bench.handed_over();
    bench.turn([Fact::Delivered(vec![sent[0].1])]);
    bench.beat(1);
    assert_eq!(bench.forgiven(), 0, "it is not recorded yet");
    bench.turn([Fact::Acked { locked: Some(Vec::new()) }]);
    bench.read(|_| ());
    bench.beat(1);
    assert_eq!(bench.forgiven(), 1);
}

#[test]
fn care_ends_after_a_minute_whatever_lanes_come_meanwhile() {
    let mut bench = Bench::new(config());
    bench.taken_again(|_| 3);
    bench.read(|batch| batch.fresh = vec![row(1, "a"), row(2, "b")]);
    bench.answer_probe(Presence::There);
    bench.answer_verdict(WAITS);
    let sent = bench.handed_over();
    bench.beat(40);
    let (asked_at, again) = (bench.now, LaneLease::new(lane("z"), 2));
    let lanes = vec![Taken::new(again, 3)];
    bench.turn([Fact::Taken { asked_at, lanes }]);
    bench.beat(21);
    assert_eq!(bench.core.stats().careful, 64, "an attempt is counted and not answered for");
    bench.turn([Fact::Delivered(vec![sent[0].1])]);
    assert_eq!(bench.answer_verdict(VerdictOutcome::Waits { attempts: 0 }), Fault::Excused);
    assert_eq!(bench.core.stats().careful, 0);
    assert_eq!(bench.handed_over().len(), 1, "the other one goes as ever");
    assert_eq!(bench.forgiven(), 0, "one more death within the minute is careful again");
}
