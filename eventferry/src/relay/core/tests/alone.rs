//! Events that go alone: those of lanes whose relays ended again and again, and those that lose their connection every time.

use super::{Bench, config, row};
use crate::event::Message;
use crate::outbox::{LaneLease, Record};
use crate::publish::{Presence, PublishErrorKind, Scope};
use crate::relay::core::{Command, CoreConfig, Fact, LeaseCommand, Now, Policy, PublishCommand, WriteCommand};
use crate::store::{Fault, LaneRead, ReadBatch, Renewed, Taken, Verdict, VerdictOutcome};

pub(super) fn lane(aggregate: &str) -> u8 {
    row(1, aggregate).lane()
}

impl Bench {
    /// All lanes fall to another owner and come back with these deaths.
    pub(super) fn taken_again(&mut self, deaths: impl Fn(u8) -> u32) {
        let held: Vec<_> = (0..64).map(|lane| LaneLease::new(lane, 1)).collect();
        let answer = Renewed::new(Vec::new(), 1);
        let asked_at = self.now;
        self.turn([Fact::Renewed { asked_at, held, answer }]);
        let lanes = (0..64).map(|lane| Taken::new(LaneLease::new(lane, 2), deaths(lane))).collect();
        self.turn([Fact::Taken { asked_at, lanes }]);
        // What was asked for under the old leases comes back empty.
        self.read(|_| ());
        self.now += Now::from_millis(10);
        self.turn([]);
    }

    /// No row is due. What was asked for under the old leases says nothing of that.
    pub(super) fn nothing_is_due(&mut self) {
        for _ in 0..2 {
            let (number, _) = self.due_asked(1_000).expect("due rows are asked for");
            self.answer_due(number, Vec::new());
        }
    }

    pub(super) fn probe(&mut self) -> Option<u64> {
        let at = self
            .commands
            .iter()
            .position(|c| matches!(c, Command::Publish(PublishCommand::Probe { .. })))?;
        let Command::Publish(PublishCommand::Probe { number, .. }) = self.commands.remove(at) else {
            return None;
        };
        Some(number)
    }

    pub(super) fn answer_probe(&mut self, presence: Presence) {
        let number = self.probe().expect("the broker is asked");
        self.turn([Fact::Probed { number, presence }]);
    }

    pub(super) fn judged(&mut self) -> Vec<Verdict> {
        let mut out = Vec::new();
        self.commands.retain_mut(|command| {
            let Command::Write(WriteCommand::Judge(verdicts)) = command else {
                return true;
            };
            out.append(verdicts);
            false
        });
        out
    }

    pub(super) fn verdicts_out(&self) -> impl Iterator<Item = &Verdict> {
        self.commands.iter().flat_map(|command| match command {
            Command::Write(WriteCommand::Judge(verdicts)) => verdicts.as_slice(),
            Command::Lease(_) | Command::Read(_) | Command::Write(WriteCommand::Ack(_)) | Command::Publish(_) | Command::Tell(_) => &[],
        })
    }

    /// Answers the one verdict there is.
    pub(super) fn answer_verdict(&mut self, outcome: VerdictOutcome) -> Fault {
        let verdicts = self.judged();
        assert_eq!(verdicts.len(), 1, "{verdicts:?}");
        let fault = verdicts[0].fault;
        let outcomes = Some(vec![outcome]);
        self.turn([Fact::Judged { verdicts, outcomes }]);
        fault
    }

    /// Answers the last attempt's excuse and the next one's count, which go in one statement.
    pub(super) fn answer_both(&mut self) {
        let verdicts = self.judged();
        let faults: Vec<_> = verdicts.iter().map(|verdict| verdict.fault).collect();
        assert_eq!(faults, [Fault::Excused, Fault::Begun { max_attempts: 3 }]);
        let outcomes = Some(vec![VerdictOutcome::Waits { attempts: 0 }, WAITS]);
        self.turn([Fact::Judged { verdicts, outcomes }]);
    }

    pub(super) fn refuse(&mut self, token: u64, kind: PublishErrorKind) {
        let message = Box::new(Message::new("t", "{}"));
        let error = "no".to_owned();
        self.turn([Fact::Refused {
            token,
            kind,
            error,
            message,
        }]);
    }

    pub(super) fn answer_all_aggregates(&mut self, rows: &[Record]) {
        while let Some((number, _)) = self.aggregates() {
            let rows = Some(rows.to_vec());
            self.turn([Fact::Aggregates { number, rows }]);
        }
    }

    pub(super) fn acks(&self) -> bool {
        self.commands.iter().any(|c| matches!(c, Command::Write(WriteCommand::Ack(_))))
    }

    pub(super) fn forgiven(&mut self) -> usize {
        let mut count = 0;
        self.commands.retain(|command| {
            let Command::Lease(LeaseCommand::Forgive(lanes)) = command else {
                return true;
            };
            count += lanes.len();
            false
        });
        count
    }

    /// Time passes, and the heartbeats with it.
    pub(super) fn beat(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += Now::from_secs(1);
            self.turn([]);
            let held: Vec<_> = (0..64).map(|lane| LaneLease::new(lane, 2)).collect();
            let answer = Renewed::new(held.clone(), 1);
            let asked_at = self.now;
            self.turn([Fact::Renewed { asked_at, held, answer }]);
        }
    }
}

pub(super) const WAITS: VerdictOutcome = VerdictOutcome::Waits { attempts: 1 };

#[test]
fn after_three_deaths_a_lane_sends_one_event_at_a_time_and_each_is_counted_first() {
    let mut bench = Bench::new(config());
    bench.taken_again(|_| 3);
    bench.read(|batch| batch.fresh = vec![row(1, "a"), row(2, "b"), row(3, "c")]);
    assert_eq!(bench.core.stats().careful, 64);
    assert_eq!(bench.ids(), [0; 0], "nothing before the broker was asked");
    bench.answer_probe(Presence::There);
    assert_eq!(bench.ids(), [0; 0], "nothing before the attempt is committed");
    assert_eq!(bench.answer_verdict(WAITS), Fault::Begun { max_attempts: 3 });
    let sent = bench.handed_over();
    assert_eq!(sent.len(), 1);
    assert!(bench.probe().is_none(), "one at a time");
    bench.turn([Fact::Delivered(vec![sent[0].1])]);
    assert!(!bench.acks(), "what was counted is taken back first");
    assert!(bench.probe().is_none(), "what was just delivered is answer enough");
    bench.answer_both();
    assert!(bench.acks());
    assert_eq!(bench.handed_over().len(), 1);
}

#[test]
fn two_deaths_cost_no_care_and_are_forgotten_after_a_minute() {
    let mut bench = Bench::new(config());
    bench.taken_again(|_| 2);
    bench.read(|batch| batch.fresh = vec![row(1, "a"), row(2, "b"), row(3, "c")]);
    assert_eq!(bench.ids(), [1, 2, 3]);
    bench.beat(59);
    assert_eq!(bench.forgiven(), 0);
    bench.beat(2);
    assert_eq!(bench.forgiven(), 64);
}

#[test]
fn lanes_that_are_well_go_on_beside_a_careful_one() {
    let mut bench = Bench::new(config());
    assert_ne!(lane("a"), lane("b"));
    bench.taken_again(|number| if number == lane("a") { 3 } else { 0 });
    bench.read(|batch| batch.fresh = vec![row(1, "a"), row(2, "b"), row(3, "b"), row(4, "c")]);
    assert_eq!(bench.ids(), [2, 4], "only the careful lane waits");
    assert_eq!(bench.core.stats().careful, 1);
}

/// What goes next could end the process, and with it whatever was counted before it was sent.
#[test]
fn care_ends_only_when_no_attempt_is_counted() {
    let mut bench = Bench::new(CoreConfig { window: 2, ..config() });
    bench.taken_again(|_| 3);
    bench.read(|batch| batch.fresh = vec![row(1, "a"), row(2, "b")]);
    bench.answer_probe(Presence::There);
    bench.answer_verdict(WAITS);
    let sent = bench.handed_over();
    bench.turn([Fact::Delivered(vec![sent[0].1])]);
    bench.answer_both();
    let sent = bench.handed_over();
    assert_eq!(sent.len(), 1);
    // With this one it is enough.
    bench.turn([Fact::Delivered(vec![sent[0].1])]);
    bench.beat(1);
    assert_eq!((bench.core.stats().careful, bench.ids()), (64, vec![]), "its attempt still counts");
    assert_eq!(bench.answer_verdict(VerdictOutcome::Waits { attempts: 0 }), Fault::Excused);
    assert_eq!(bench.core.stats().careful, 0, "at once, without another look at the clock");
    bench.turn([Fact::Acked { locked: Some(Vec::new()) }]);
    bench.turn([Fact::Acked { locked: Some(Vec::new()) }]);
    bench.read(|batch| batch.fresh = vec![row(3, "c"), row(4, "d")]);
    assert_eq!(bench.ids(), [3, 4]);
}

#[test]
fn nothing_is_counted_while_the_broker_does_not_answer() {
    let mut bench = Bench::new(config());
    bench.taken_again(|_| 3);
    bench.read(|batch| batch.fresh = vec![row(1, "a")]);
    bench.answer_probe(Presence::Away);
    assert!(bench.judged().is_empty() && bench.ids().is_empty());
    assert!(bench.core.stats().broker_away);
    bench.now += Now::from_secs(2);
    bench.turn([]);
    bench.answer_all_aggregates(&[row(1, "a")]);
    bench.answer_probe(Presence::There);
    assert_eq!(bench.answer_verdict(WAITS), Fault::Begun { max_attempts: 3 });
    assert_eq!(bench.ids(), [1]);
}

#[test]
fn an_outage_in_a_counted_attempt_takes_it_back() {
    let mut bench = Bench::new(config());
    bench.taken_again(|_| 3);
    bench.read(|batch| batch.fresh = vec![row(1, "a"), row(2, "a")]);
    bench.answer_probe(Presence::There);
    bench.answer_verdict(WAITS);
    let sent = bench.handed_over();
    bench.refuse(sent[0].1, PublishErrorKind::Unavailable(Scope::Publisher));
    assert_eq!(bench.answer_verdict(VerdictOutcome::Waits { attempts: 0 }), Fault::Excused);
    bench.now += Now::from_secs(2);
    bench.turn([]);
    bench.answer_all_aggregates(&[row(1, "a"), row(2, "a")]);
    bench.answer_probe(Presence::There);
    bench.answer_verdict(WAITS);
    assert_eq!(bench.ids(), [1], "the same event, not its successor");
    assert_eq!((bench.core.stats().failed, bench.core.stats().dead), (0, 0));
}

#[test]
fn a_refusal_in_a_counted_attempt_is_not_counted_twice() {
    let mut bench = Bench::new(config());
    bench.taken_again(|_| 3);
    bench.read(|batch| batch.fresh = vec![row(1, "a")]);
    bench.answer_probe(Presence::There);
    bench.answer_verdict(WAITS);
    let sent = bench.handed_over();
    bench.refuse(sent[0].1, PublishErrorKind::Retriable);
    let attempts: Vec<_> = bench.verdicts_out().map(|verdict| verdict.attempts).collect();
    assert_eq!(attempts, [1], "what the row has, so that a repeated verdict is known");
    assert!(matches!(bench.answer_verdict(WAITS), Fault::RefusedAlone { max_attempts: 3, .. }));
    assert_eq!(bench.core.stats().failed, 1);
}

#[test]
fn an_event_that_had_all_its_attempts_dies_and_its_successors_go_on() {
    let mut bench = Bench::new(config());
    bench.taken_again(|_| 3);
    bench.read(|batch| batch.fresh = vec![row(1, "a"), row(2, "a")]);
    bench.answer_probe(Presence::There);
    bench.answer_verdict(VerdictOutcome::Dead);
    assert_eq!(bench.ids(), [0; 0]);
    bench.beat(1);
    assert_eq!(bench.core.stats().careful, 0, "it is found: there is no reason for care any more");
    bench.answer_all_aggregates(&[row(2, "a")]);
    assert_eq!(bench.ids(), [2]);
    assert_eq!(bench.core.stats().dead, 1);
}

/// A kill from outside while it was alone leaves an attempt counted; where the policy gives one attempt, that is no proof.
#[test]
fn one_kill_in_the_middle_of_an_attempt_condemns_no_event() {
    let mut bench = Bench::new(CoreConfig {
        policy: Policy {
            max_attempts: 1,
            ..config().policy
        },
        ..config()
    });
    bench.taken_again(|_| 3);
    let mut unlucky = row(1, "a");
    unlucky.attempts = 1;
    bench.read(|batch| batch.fresh = vec![unlucky]);
    bench.answer_probe(Presence::There);
    assert_eq!(bench.answer_verdict(WAITS), Fault::Begun { max_attempts: 3 });
}

/// It waits for an operator, perhaps for ever.
#[test]
fn an_aggregate_that_is_held_does_not_keep_its_lane_careful() {
    let mut bench = Bench::new(config());
    bench.taken_again(|_| 3);
    let mut dead = row(1, "a");
    dead.status = crate::outbox::Status::DeadHolding;
    bench.read(|batch| batch.fresh = vec![dead]);
    bench.nothing_is_due();
    bench.beat(1);
    assert_eq!(bench.core.stats().careful, 0);
}

#[test]
fn with_a_dead_letter_topic_only_many_more_deaths_kill_an_event_without_its_letter() {
    for (deaths, max_attempts) in [(3, 0), (5, 0), (6, 3)] {
        let mut bench = Bench::new(CoreConfig {
            dead_letter: Some("dead".into()),
            ..config()
        });
        bench.taken_again(|_| deaths);
        bench.read(|batch| batch.fresh = vec![row(1, "a")]);
        bench.answer_probe(Presence::There);
        assert_eq!(bench.answer_verdict(WAITS), Fault::Begun { max_attempts }, "after {deaths} deaths");
    }
}

#[test]
fn a_lane_that_was_lost_while_an_attempt_was_counted_sends_nothing() {
    let mut bench = Bench::new(config());
    bench.taken_again(|_| 3);
    bench.read(|batch| batch.fresh = vec![row(1, "a")]);
    bench.answer_probe(Presence::There);
    bench.answer_verdict(VerdictOutcome::LaneLost);
    assert_eq!(bench.ids(), [0; 0]);
    let stats = bench.core.stats();
    assert_eq!((stats.lanes, stats.fenced, stats.known), (63, 1, 0));
}

#[test]
fn an_attempt_that_was_counted_and_not_made_is_taken_back_when_the_relay_stops() {
    let mut bench = Bench::new(config());
    bench.taken_again(|_| 3);
    bench.read(|batch| batch.fresh = vec![row(1, "a")]);
    bench.answer_probe(Presence::There);
    bench.turn([Fact::Stop]);
    bench.answer_verdict(WAITS);
    assert_eq!(bench.ids(), [0; 0]);
    assert_eq!(bench.answer_verdict(VerdictOutcome::Waits { attempts: 0 }), Fault::Excused);
    assert!(bench.core.is_closed());
}

/// The answer of the excuse comes when the lanes have gone; the aggregate must not stay shut for it when they come back.
#[test]
fn an_excuse_that_is_answered_after_the_lane_went_does_not_shut_its_aggregate_for_ever() {
    let mut bench = Bench::new(config());
    bench.taken_again(|_| 3);
    bench.read(|batch| batch.fresh = vec![row(1, "a")]);
    bench.answer_probe(Presence::There);
    bench.answer_verdict(WAITS);
    let sent = bench.handed_over();
    bench.refuse(sent[0].1, PublishErrorKind::Unavailable(Scope::Publisher));
    let verdicts = bench.judged();
    assert_eq!(verdicts[0].fault, Fault::Excused);
    let held: Vec<_> = (0..64).map(|lane| LaneLease::new(lane, 2)).collect();
    let (asked_at, answer) = (bench.now, Renewed::new(Vec::new(), 1));
    bench.turn([Fact::Renewed { asked_at, held, answer }]);
    let outcomes = Some(vec![VerdictOutcome::Waits { attempts: 0 }]);
    bench.turn([Fact::Judged { verdicts, outcomes }]);
    let lanes = (0..64).map(|lane| Taken::new(LaneLease::new(lane, 3), 0)).collect();
    bench.turn([Fact::Taken { asked_at, lanes }]);
    bench.read(|_| ());
    bench.now += Now::from_secs(2);
    bench.turn([]);
    bench.read(|batch| batch.fresh = vec![row(1, "a")]);
    assert_eq!(bench.ids(), [1]);
}

#[test]
fn care_ends_when_there_is_nothing_left_or_a_window_went_well() {
    let mut bench = Bench::new(CoreConfig { window: 16, ..config() });
    bench.taken_again(|_| 3);
    bench.read(|batch| batch.fresh = vec![row(1, "a"), row(2, "a")]);
    bench.beat(1);
    assert_eq!(
        bench.core.stats().careful,
        64,
        "a row that is due may be the event, and none was looked for"
    );
    bench.nothing_is_due();
    bench.beat(1);
    assert_eq!(bench.core.stats().careful, 1, "all but the lane that has something to send");
    assert_eq!(bench.forgiven(), 63);
    bench.answer_probe(Presence::There);
    bench.answer_verdict(WAITS);
    for id in 1..=2 {
        let sent = bench.handed_over();
        assert_eq!(sent.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [id]);
        bench.turn([Fact::Delivered(vec![sent[0].1])]);
        if id == 1 {
            bench.answer_both();
        } else {
            assert_eq!(bench.answer_verdict(WAITS), Fault::Excused);
        }
        bench.turn([Fact::Acked { locked: Some(Vec::new()) }]);
    }
    bench.read(|_| ());
    bench.beat(1);
    assert_eq!((bench.core.stats().careful, bench.forgiven()), (0, 1));
}

#[test]
fn of_a_careful_lane_few_rows_are_in_memory() {
    let mut bench = Bench::new(config());
    bench.taken_again(|number| if number == lane("a") { 3 } else { 0 });
    let limit = |lanes: &[LaneRead]| lanes.iter().find(|read| read.lane == lane("a")).map(|read| read.limit);
    let (number, lanes) = bench.main_read();
    assert_eq!(limit(&lanes), Some(15), "its fair share of the room, and no more than sixteen");
    let mut batch = ReadBatch::new(super::snapshot(1));
    batch.fresh = (1..=15).map(|id| row(id, "a")).collect();
    let batch = Some(batch);
    bench.turn([Fact::Read { number, batch }]);
    let (_, lanes) = bench.main_read();
    assert_eq!(limit(&lanes), Some(2), "one is on its way");
}
