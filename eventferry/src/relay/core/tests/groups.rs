//! Lanes in groups, each with a session that lives no longer than its leases.

use super::{Bench, CoreConfig, pipelined, row};
use crate::outbox::LaneLease;
use crate::publish::PublishErrorKind;
use crate::relay::core::{Cause, Command, Core, Fact, LeaseCommand, Notice, Now, PublishCommand};
use crate::store::{Doing, Renewed, Taken};

fn grouped(recover_from_fence: bool) -> CoreConfig {
    CoreConfig {
        groups: 8,
        recover_from_fence,
        lease: Now::from_mins(1),
        ..pipelined()
    }
}

fn lanes(groups: impl IntoIterator<Item = u8>, epoch: i64) -> Vec<LaneLease> {
    let lanes = groups.into_iter().flat_map(|group| group * 8..group * 8 + 8);
    lanes.map(|lane| LaneLease::new(lane, epoch)).collect()
}

impl Bench {
    /// Nothing is held yet.
    fn empty(config: CoreConfig) -> Self {
        Self {
            core: Core::new(config),
            now: Now::ZERO,
            commands: Vec::new(),
        }
    }

    fn holds(&mut self, leases: Vec<LaneLease>) {
        let lanes = leases.into_iter().map(|lease| Taken::new(lease, 0)).collect();
        let asked_at = self.now;
        self.turn([Fact::Taken { asked_at, lanes }]);
    }

    fn renewed(&mut self, held: Vec<LaneLease>, kept: Vec<LaneLease>, live: u32) {
        let answer = Renewed::new(kept, live);
        let asked_at = self.now;
        self.turn([Fact::Renewed { asked_at, held, answer }]);
    }

    /// What it said of itself with its heartbeats since the last call.
    fn told_others(&mut self) -> Vec<Doing> {
        let mut out = Vec::new();
        self.commands.retain(|command| {
            let Command::Lease(LeaseCommand::Renew(_, doing)) = command else {
                return true;
            };
            out.push(*doing);
            false
        });
        out
    }

    fn wanted(&mut self) -> Option<(Vec<u8>, u8, u8)> {
        let mut out = None;
        self.commands.retain_mut(|command| {
            let Command::Lease(LeaseCommand::TakeGroups { groups, size, limit }) = command else {
                return true;
            };
            out = Some((std::mem::take(groups), *size, *limit));
            false
        });
        out
    }

    /// Sessions asked for since the last call, with their groups.
    fn opening(&mut self) -> Vec<(u64, u8)> {
        let mut out = Vec::new();
        self.commands.retain(|command| {
            let Command::Publish(PublishCommand::OpenSession { session, group }) = command else {
                return true;
            };
            out.push((*session, *group));
            false
        });
        out
    }

    fn closing(&mut self) -> Vec<u64> {
        let mut out = Vec::new();
        self.commands.retain(|command| {
            let Command::Publish(PublishCommand::CloseSession(session)) = command else {
                return true;
            };
            out.push(*session);
            false
        });
        out
    }

    fn released(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.commands.retain(|command| {
            let Command::Lease(LeaseCommand::Release(lanes)) = command else {
                return true;
            };
            out.extend(lanes.iter().map(|lease| lease.lane));
            false
        });
        out.sort_unstable();
        out
    }

    /// Holds these groups, with one event in flight in the session of each.
    fn in_flight(config: CoreConfig, groups: &[u8]) -> (Self, Vec<(u64, u8)>) {
        let mut bench = Self::empty(config);
        bench.turn([]);
        bench.renewed(Vec::new(), Vec::new(), 1);
        bench.holds(lanes(groups.iter().copied(), 1));
        let names = (0..).map(|n| n.to_string());
        let mut left = groups.to_vec();
        let rows: Vec<_> = names
            .map(|name| row(1, &name))
            .take_while_some(&mut left)
            .into_iter()
            .zip(1..)
            .map(|(mut row, id)| {
                row.id = id;
                row
            })
            .collect();
        bench.read(|batch| batch.fresh = rows);
        bench.answer_topic(Ok(4));
        let sessions = bench.opening();
        for (session, _) in &sessions {
            bench.turn([Fact::SessionOpened { session: *session }]);
        }
        assert_eq!(bench.handed_over().len(), groups.len());
        (bench, sessions)
    }
}

trait TakeWhileSome: Iterator<Item = crate::outbox::Record> + Sized {
    /// The first row of each group.
    fn take_while_some(self, groups: &mut Vec<u8>) -> Vec<crate::outbox::Record> {
        let mut out = Vec::new();
        for row in self {
            let group = row.lane() / 8;
            if let Some(place) = groups.iter().position(|wanted| *wanted == group) {
                groups.remove(place);
                out.push(row);
            }
            if groups.is_empty() {
                break;
            }
        }
        out
    }
}

impl<I: Iterator<Item = crate::outbox::Record>> TakeWhileSome for I {}

fn fenced(session: u64) -> Fact {
    Fact::SessionOver {
        session,
        cause: Some(Cause {
            token: None,
            kind: PublishErrorKind::Fenced,
        }),
    }
}

#[test]
fn lanes_are_taken_and_handed_back_by_the_group() {
    let mut bench = Bench::empty(grouped(false));
    bench.turn([]);
    bench.renewed(Vec::new(), Vec::new(), 3);
    assert_eq!(
        bench.wanted(),
        Some(((0..8).collect(), 8, 3)),
        "a third of eight groups, rounded up"
    );
    bench.holds(lanes([0, 2, 5], 1));
    let all = lanes([0, 2, 5], 1);
    bench.now += Now::from_secs(1);
    bench.turn([]);
    bench.renewed(Vec::new(), Vec::new(), 4);
    let released = bench.released();
    assert_eq!(released.len(), 8, "one group: the share of four relays is two");
    assert!(released.iter().all(|lane| lane / 8 == released[0] / 8));
    assert_eq!(all.len(), 24);
}

#[test]
fn every_group_has_a_session_of_its_own() {
    let (_, sessions) = Bench::in_flight(grouped(false), &[1, 4]);
    let mut groups: Vec<u8> = sessions.iter().map(|(_, group)| *group).collect();
    groups.sort_unstable();
    assert_eq!(groups, [1, 4]);
}

#[test]
fn a_session_does_not_outlive_the_leases_of_its_group() {
    let (mut bench, sessions) = Bench::in_flight(grouped(false), &[1, 4]);
    let lost: u64 = sessions.iter().find(|(_, group)| *group == 4).unwrap().0;
    bench.renewed(lanes([1, 4], 1), lanes([1], 1), 1);
    assert_eq!(bench.closing(), [lost]);
    bench.wanted();
    bench.now += Now::from_secs(1);
    bench.turn([]);
    bench.renewed(Vec::new(), Vec::new(), 1);
    assert_eq!(
        bench.wanted().unwrap().0,
        [0, 2, 3, 5, 6, 7],
        "not the one whose session is not over yet"
    );
    bench.turn([Fact::SessionOver {
        session: lost,
        cause: None,
    }]);
    let mut again = false;
    for _ in 0..5 {
        bench.holds(Vec::new());
        bench.now += Now::from_secs(1);
        bench.turn([]);
        again |= bench.wanted().is_some_and(|(groups, ..)| groups.contains(&4));
    }
    assert!(again);
}

#[test]
fn a_fence_by_the_new_owner_of_the_lanes_is_none() {
    let (mut bench, sessions) = Bench::in_flight(grouped(false), &[1, 4]);
    bench.turn([fenced(sessions[0].0)]);
    assert_eq!(bench.core.stats().groups_fenced, 1);
    assert!(bench.opening().is_empty(), "not before a heartbeat has told");
    let mine = 5 - sessions[0].1; // the other group
    bench.now += Now::from_millis(1);
    bench.renewed(lanes([1, 4], 1), lanes([mine], 1), 2);
    let stats = bench.core.stats();
    assert_eq!((stats.groups_fenced, stats.lanes), (0, 8));
    assert!(!bench.commands.iter().any(|c| matches!(c, Command::Tell(Notice::Fenced { .. }))));
}

/// What a heartbeat says of leases is older than the fence if it was asked for before.
#[test]
fn a_heartbeat_from_before_the_fence_says_nothing_of_it() {
    let (mut bench, sessions) = Bench::in_flight(grouped(false), &[1, 4]);
    let before = bench.now;
    bench.now += Now::from_millis(5);
    bench.turn([fenced(sessions[0].0)]);
    let held = lanes([1, 4], 1);
    let answer = Renewed::new(held.clone(), 1);
    bench.turn([Fact::Renewed {
        asked_at: before,
        held,
        answer,
    }]);
    assert_eq!(
        (bench.core.stats().groups_fenced, bench.core.stats().lanes),
        (1, 16),
        "still in doubt"
    );
    assert!(bench.released().is_empty());
}

/// While the cause of a fence is in doubt, no session of the group is opened.
#[test]
fn nothing_is_sent_while_a_fence_is_in_doubt() {
    let (mut bench, sessions) = Bench::in_flight(grouped(false), &[1]);
    bench.turn([fenced(sessions[0].0)]);
    let more = (0..10_000).map(|n: u32| row(50, &n.to_string())).find(|row| row.lane() / 8 == 1);
    bench.turn([]);
    bench.read(|batch| batch.fresh = more.into_iter().collect());
    assert!(bench.opening().is_empty() && bench.handed_over().is_empty());
}

/// A group goes back when all of its lanes may: while one has something open, none does.
#[test]
fn a_group_is_handed_back_as_a_whole() {
    let (mut bench, _) = Bench::in_flight(grouped(false), &[1]);
    bench.turn([Fact::Stop]);
    assert!(bench.released().is_empty(), "one event is in flight");
    let token = bench.core.flights.keys().copied().next().expect("one is in flight");
    bench.turn([Fact::Delivered(vec![token])]);
    bench.turn([Fact::Acked { locked: Some(Vec::new()) }]);
    assert_eq!(bench.released().len(), 8);
}

#[test]
fn a_fence_by_somebody_else_gives_the_group_up() {
    let (mut bench, sessions) = Bench::in_flight(grouped(false), &[1, 4]);
    let (session, group) = sessions[0];
    bench.turn([fenced(session)]);
    bench.now += Now::from_millis(1);
    bench.renewed(lanes([1, 4], 1), lanes([1, 4], 1), 1);
    assert_eq!(bench.released().len(), 8);
    assert!(
        bench
            .commands
            .iter()
            .any(|c| matches!(c, Command::Tell(Notice::Fenced { group: told, for_good: true }) if *told == group))
    );
    for _ in 0..300 {
        bench.now += Now::from_secs(1);
        bench.turn([]);
        bench.renewed(Vec::new(), Vec::new(), 1);
        if let Some((groups, ..)) = bench.wanted() {
            assert!(!groups.contains(&group), "it stays away until it is started again");
        }
    }
}

/// Another relay aims at the groups that this one may not take, and this one at its part of those that it may.
#[test]
fn whoever_gave_a_group_up_for_good_says_so_and_still_takes_no_more_than_its_part() {
    for (recovers, doing) in [(true, Doing::Sharing), (false, Doing::Barred)] {
        let (mut bench, sessions) = Bench::in_flight(grouped(recovers), &[0, 1, 2, 3, 4, 5, 6, 7]);
        let held = |from| lanes(from..8, 1);
        assert!(bench.told_others().iter().all(|doing| *doing == Doing::Sharing));
        bench.turn([fenced(sessions[0].0)]);
        bench.now += Now::from_millis(1);
        let before = held(0);
        bench.renewed(before.clone(), before, 1);
        assert_eq!(bench.released().len(), 8, "{recovers}");
        bench.told_others();
        let said = (0..20).find_map(|_| {
            bench.now += Now::from_millis(100);
            bench.turn([]);
            if bench.wanted().is_some() {
                bench.holds(Vec::new());
            }
            bench.told_others().pop()
        });
        assert_eq!(said, Some(doing));
        bench.renewed(held(1), held(1), 2);
        let draining = bench.core.lanes.iter().filter(|lane| lane.draining.is_some()).count();
        assert_eq!(draining, 3 * 8, "of the seven left, four are its part of eight among two");
    }
}

#[test]
fn one_that_may_recover_takes_the_leases_first_and_does_not_fight_for_ever() {
    let (mut bench, sessions) = Bench::in_flight(grouped(true), &[1]);
    let (mut session, group) = sessions[0];
    for round in 2..5 {
        bench.turn([fenced(session)]);
        bench.now += Now::from_millis(1);
        let held = lanes([group], round - 1);
        bench.renewed(held.clone(), held, 1);
        assert!(bench.opening().is_empty(), "not without its leases");
        let mut back = false;
        for _ in 0..70 {
            bench.now += Now::from_secs(1);
            bench.turn([]);
            bench.renewed(Vec::new(), Vec::new(), 1);
            back |= bench.wanted().is_some_and(|(groups, ..)| groups.contains(&group));
            bench.holds(Vec::new());
        }
        assert_eq!(back, round < 4, "after round {round}");
        if !back {
            return;
        }
        bench.holds(lanes([group], round));
        bench.read(|_| ());
        bench.now += Now::from_millis(10);
        bench.turn([]);
        let again = (0..10_000).map(|n: u32| row(1, &n.to_string())).find(|row| row.lane() / 8 == group);
        bench.read(|batch| batch.fresh = again.into_iter().collect());
        let opening = bench.opening();
        assert_eq!(opening.len(), 1);
        session = opening[0].0;
        bench.turn([Fact::SessionOpened { session }]);
    }
}
