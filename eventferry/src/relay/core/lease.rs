//! Which lanes this relay carries: renewing, taking its fair share, handing back.

use std::time::Duration;

use super::read::APPETITE_MIN;
use super::session::{Fence, SessionState, Slot};
use super::{Command, Core, DueAt, Lane, LeaseCommand, Now, care};
use crate::outbox::{LANES, LaneLease, fair_share};
use crate::store::{Doing, Renewed, Taken};

const BEAT: Duration = Duration::from_secs(1);
/// How long after an outage of the database no lane is taken.
const GRACE: Duration = Duration::from_secs(2);
const TAKE_AGAIN: Duration = Duration::from_millis(500);
pub(super) const RENEW_AGAIN: Duration = Duration::from_millis(500);

impl Core {
    /// Lets go of lanes whose lease may be over, before anything is learned that would be taken for them.
    pub(super) fn lapse(&mut self) {
        let now = self.now;
        for lane in &mut self.lanes {
            if now >= lane.valid_until && lane.lease.is_some() && lane.draining.is_none() {
                lane.lapsed = lane.lease;
            }
        }
        self.lose(|lane| now >= lane.valid_until);
    }

    pub(super) fn tend_leases(&mut self) {
        let now = self.now;
        if self.closed {
            return;
        }
        if let Some(deadline) = self.stopping {
            let lanes: Vec<u8> = self.sending_lanes().map(|lease| lease.lane).collect();
            self.drain(&lanes, deadline);
        }
        self.hand_back_drained();
        if let Some(deadline) = self.stopping
            && (!self.lease_call_out
                && self.lanes.iter().all(|lane| lane.lease.is_none())
                && self.flights.is_empty()
                && self.acks.is_empty()
                && self.locked.len() == 0
                && !self.ack_out
                || now >= deadline)
        {
            self.closed = true;
            self.commands.push(Command::Lease(LeaseCommand::Close));
            return;
        }
        if self.lease_call_out {
            return;
        }
        if now >= self.next_renew {
            self.next_renew = now + self.config.lease / 3;
            self.next_beat = now + BEAT.min(self.config.lease / 3);
            self.lease_call_out = true;
            let held = self.lanes.iter().filter_map(|lane| lane.lease).collect();
            self.commands.push(Command::Lease(LeaseCommand::Renew(held, self.doing())));
        } else if self.stopping.is_none() && now >= self.next_take.max(self.take_not_before) {
            self.next_take = now + TAKE_AGAIN;
            if let Some(take) = self.missing() {
                self.lease_call_out = true;
                self.commands.push(Command::Lease(take));
            }
        } else if now >= self.next_beat {
            // Counting relays more often than renewing lets lanes follow a relay that comes or goes without waiting for a lease.
            self.next_beat = now + BEAT.min(self.config.lease / 3);
            self.lease_call_out = true;
            self.commands.push(Command::Lease(LeaseCommand::Renew(Vec::new(), self.doing())));
        }
    }

    /// What to take, if this relay has less than its share.
    fn missing(&self) -> Option<LeaseCommand> {
        let held = self.lanes.iter().filter(|lane| lane.lease.is_some()).count();
        if self.sessions.len() == 1 {
            let missing = usize::from(fair_share(self.live_relays)).saturating_sub(held);
            return (missing > 0).then(|| LeaseCommand::Take(u8::try_from(missing).unwrap_or(LANES)));
        }
        let size = LANES / u8::try_from(self.sessions.len()).unwrap_or(1);
        let mut ours = vec![false; self.sessions.len()];
        for lease in self.lanes.iter().filter_map(|lane| lane.lease) {
            ours[self.group_of(lease.lane)] = true;
        }
        let limit = self.group_share().saturating_sub(ours.iter().filter(|ours| **ours).count());
        // A group whose last session is not over yet, or that somebody else fences, is left alone.
        let free = |(number, slot): (usize, &Slot)| {
            let free = !ours[number] && slot.state == SessionState::Closed && slot.fence == Fence::No;
            free.then(|| u8::try_from(number).unwrap_or(0))
        };
        let groups: Vec<u8> = self.sessions.iter().enumerate().filter_map(free).collect();
        let limit = u8::try_from(limit).unwrap_or(LANES);
        (limit > 0 && !groups.is_empty()).then_some(LeaseCommand::TakeGroups { groups, size, limit })
    }

    /// A relay that gave a group up for good is not counted, or its part of the rest would be carried by nobody.
    fn doing(&self) -> Doing {
        if self.sessions.iter().any(|slot| slot.fence == Fence::Barred(None)) {
            return Doing::Barred;
        }
        Doing::Sharing
    }

    fn group_share(&self) -> usize {
        self.sessions.len().div_ceil(self.live_relays.max(1) as usize)
    }

    pub(super) fn lease_turn(&self) -> Now {
        let mut next = self
            .lanes
            .iter()
            .filter(|l| l.lease.is_some())
            .map(|l| l.valid_until)
            .min()
            .unwrap_or(Now::MAX);
        if let Some(drained) = self.lanes.iter().filter_map(|l| l.draining).min() {
            next = next.min(drained);
        }
        if let Some(deadline) = self.stopping {
            next = next.min(deadline);
        }
        if !self.lease_call_out {
            next = next.min(self.next_renew).min(self.next_beat);
            if self.stopping.is_none() {
                next = next.min(self.next_take.max(self.take_not_before));
            }
        }
        next
    }

    /// The lanes that events may be read from and sent of.
    pub(super) fn sending_lanes(&self) -> impl Iterator<Item = LaneLease> {
        self.lanes
            .iter()
            .filter(|lane| lane.draining.is_none())
            .filter_map(|lane| lane.lease)
    }

    pub(super) fn may_send(&self, lane: u8) -> bool {
        let lane = self.lane(lane);
        lane.lease.is_some() && lane.draining.is_none() && self.now < lane.valid_until
    }

    pub(super) fn on_renewed(&mut self, asked_at: Now, held: &[LaneLease], answer: &Renewed) {
        self.lease_call_out = false;
        if std::mem::take(&mut self.lease_trouble) {
            // The others were cut off as well: time for their heartbeats, before what they hold looks free, and they dead.
            self.take_not_before = self.now + GRACE;
        }
        self.live_relays = answer.live_relays.max(1);
        let (now, valid_until) = (self.now, asked_at + self.config.lease);
        for lease in &answer.kept {
            let lane = self.lane_mut(lease.lane);
            if lane.lease == Some(*lease) {
                lane.valid_until = valid_until;
            } else if lane.lapsed == Some(*lease) && lane.lease.is_none() && valid_until > now {
                self.adopt(*lease, valid_until);
            }
        }
        if !held.is_empty() {
            self.lose(|lane| {
                lane.lease
                    .is_some_and(|lease| held.contains(&lease) && !answer.kept.contains(&lease))
            });
        }
        self.hand_back_parts();
        // A heartbeat that renewed nothing says nothing of the leases there are.
        let looked = !held.is_empty() || self.lanes.iter().all(|lane| lane.lease.is_none());
        self.look_at_fences(asked_at, looked);
        self.look_again();
        self.tend_careful();
        self.rebalance();
    }

    /// Groups are taken as a whole: what is left of one that lost a lane is handed back, or nobody could ever take that lane.
    fn hand_back_parts(&mut self) {
        let groups = self.sessions.len();
        if groups == 1 {
            return;
        }
        let mut held = vec![Vec::new(); groups];
        for lease in self.lanes.iter().filter_map(|lane| lane.lease) {
            held[self.group_of(lease.lane)].push(lease);
        }
        let parts = held.into_iter().filter(|held| held.len() < usize::from(LANES) / groups);
        let parts: Vec<LaneLease> = parts.flatten().collect();
        if !parts.is_empty() {
            self.lose(|lane| lane.lease.is_some_and(|lease| parts.contains(&lease)));
            self.commands.push(Command::Lease(LeaseCommand::Release(parts)));
        }
    }

    fn rebalance(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        if self.sessions.len() > 1 {
            return self.rebalance_groups();
        }
        let share = usize::from(fair_share(self.live_relays));
        let mut ours: Vec<LaneLease> = self.sending_lanes().collect();
        if ours.len() > share {
            // The quiet lanes are handed back first: nobody waits for them.
            ours.sort_by_key(|lease| self.lane(lease.lane).open);
            let excess: Vec<u8> = ours[..ours.len() - share].iter().map(|lease| lease.lane).collect();
            self.drain(&excess, self.now + self.config.drain);
        } else if ours.len() < share {
            self.next_take = self.next_take.min(self.now);
        }
    }

    fn rebalance_groups(&mut self) {
        let mut open = vec![None; self.sessions.len()];
        for lease in self.sending_lanes() {
            *open[self.group_of(lease.lane)].get_or_insert(0) += self.lane(lease.lane).open;
        }
        let mut ours: Vec<(u32, usize)> = (0..).zip(open).filter_map(|(group, open)| open.map(|open| (open, group))).collect();
        let share = self.group_share();
        if ours.len() > share {
            ours.sort_unstable();
            let excess: Vec<usize> = ours[..ours.len() - share].iter().map(|(_, group)| *group).collect();
            let lanes: Vec<u8> = self.sending_lanes().map(|lease| lease.lane).collect();
            let lanes: Vec<u8> = lanes.into_iter().filter(|lane| excess.contains(&self.group_of(*lane))).collect();
            self.drain(&lanes, self.now + self.config.drain);
        } else if ours.len() < share {
            self.next_take = self.next_take.min(self.now);
        }
    }

    pub(super) fn on_taken(&mut self, asked_at: Now, lanes: &[Taken]) {
        self.lease_call_out = false;
        let well_at = self.now + care::WELL_AFTER;
        for taken in lanes {
            self.stats.takeovers += 1;
            let careful = self.note_deaths(taken.deaths);
            let lane = self.lane_mut(taken.lease.lane);
            (lane.deaths, lane.careful, lane.well_at) = (taken.deaths, careful, well_at);
            self.adopt(taken.lease, asked_at + self.config.lease);
        }
    }

    /// Begins a lane from the start of the table.
    fn adopt(&mut self, lease: LaneLease, valid_until: Now) {
        let (now, full_pass_at) = (self.now, self.now + self.config.full_pass);
        // A read that is under way went by the cursor of the lane's last time here, and so did what is queued.
        self.disown_read(lease.lane);
        self.drop_queues(|lane| lane == lease.lane);
        let lane = self.lane_mut(lease.lane);
        *lane = Lane {
            lease: Some(lease),
            lapsed: None,
            valid_until,
            cursor: 0,
            appetite: APPETITE_MIN,
            draining: None,
            caught_up: false,
            skimming: false,
            due: DueAt::default(),
            due_seen: false,
            full_pass_at,
            pass: Some((now, i64::MAX)),
            passing: 0,
            ..*lane
        };
        self.next_read = self.now;
    }

    /// Stops sending from lanes; they are handed back when nothing of them is open any more.
    fn drain(&mut self, lanes: &[u8], deadline: Now) {
        if lanes.is_empty() {
            return;
        }
        for lane in lanes {
            self.lane_mut(*lane).draining = Some(deadline);
        }
        self.drop_queues(|lane| lanes.contains(&lane));
    }

    fn hand_back_drained(&mut self) {
        let now = self.now;
        let over = |lane: &Lane| lane.draining.is_some_and(|deadline| lane.open == 0 || now >= deadline);
        let mut busy = vec![false; self.sessions.len()];
        if busy.len() > 1 {
            // A group goes as it came: as a whole.
            for lease in self.lanes.iter().filter(|lane| !over(lane)).filter_map(|lane| lane.lease) {
                busy[self.group_of(lease.lane)] = true;
            }
        }
        let ready = |lease: &LaneLease| !busy[self.group_of(lease.lane)];
        let back: Vec<LaneLease> = self
            .lanes
            .iter()
            .filter(|lane| over(lane))
            .filter_map(|lane| lane.lease)
            .filter(ready)
            .collect();
        if !back.is_empty() {
            self.lose(|lane| lane.lease.is_some_and(|lease| back.contains(&lease)));
            self.commands.push(Command::Lease(LeaseCommand::Release(back)));
        }
    }

    /// Forgets lanes that are no longer ours. Their events in flight may still be acked: a delivery is a delivery.
    pub(super) fn lose(&mut self, gone: impl Fn(&Lane) -> bool) {
        let mut lost = [false; LANES as usize];
        for (lane, lost) in self.lanes.iter_mut().zip(&mut lost) {
            if lane.lease.is_some() && gone(lane) {
                *lost = true;
                lane.lease = None;
                lane.draining = None;
            }
        }
        if lost.contains(&true) {
            self.drop_queues(|lane| lost[usize::from(lane % LANES)]);
            self.close_sessions_of(&lost);
        }
    }
}
