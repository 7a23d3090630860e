//! Rows that do not move make room for others: what is only queued behind a route without progress is dropped, and read again when it moves.

use std::time::Duration;

use super::queue::{Gate, Queue, QueueKey, Why};
use super::send::Route;
use super::{Core, Now};

/// How long without a delivery until queued rows make room for others; doubles up to the next while nothing at all is delivered.
pub(super) const SHED_MIN: Duration = Duration::from_millis(500);
const SHED_MAX: Duration = Duration::from_secs(8);

impl Core {
    /// When the window is nearly full of rows that do not move, drops those that are only queued, so that others can be read.
    pub(super) fn shed(&mut self) {
        if self.now < self.next_shed || self.room() >= self.room_wanted() * 2 {
            return;
        }
        self.next_shed = self.now + self.shed_every;
        let still = |progress: Now| self.now >= progress + self.shed_every;
        let stuck: Vec<(QueueKey, i64, Option<Route>)> = self
            .queues
            .iter()
            .filter(|(_, queue)| still(queue.progress))
            .filter(|(_, queue)| match queue.wants {
                // One plain call of its own is all that it waits for.
                Some(Route::Plain(_)) if queue.in_flight > 0 => true,
                Some(route) => self.routes.get(&route).is_none_or(|state| still(state.progress)),
                None => true,
            })
            .filter_map(|(key, queue)| queue.rows.front().map(|row| (*key, row.id - 1, queue.wants)))
            .collect();
        if !stuck.is_empty() {
            self.shed_every = (self.shed_every * 2).min(SHED_MAX);
        }
        let (now, again) = (self.now, self.shed_every);
        for (key, floor, wants) in stuck {
            let Some(route) = wants else {
                self.shut(key, floor, Why::Timer);
                self.timer(again, key);
                continue;
            };
            self.shut(key, floor, Why::Route);
            let state = self.routes.entry(route).or_default();
            if state.shed.is_empty() {
                (state.backoff, state.try_at) = (SHED_MIN, now + SHED_MIN);
                self.shed_routes.push(route);
            }
            state.shed.push(key);
        }
    }

    /// Something was delivered by this route: whatever waited for that is read again.
    pub(super) fn route_moves(&mut self, route: Route) {
        let Some(state) = self.routes.get_mut(&route) else { return };
        state.progress = self.now;
        if !state.shed.is_empty() {
            let shed = std::mem::take(&mut state.shed);
            self.wake_shed(shed);
        }
    }

    /// A session is over: what was stuck in it is not.
    pub(super) fn routes_are_new(&mut self) {
        for route in std::mem::take(&mut self.shed_routes) {
            if let Some(state) = self.routes.get_mut(&route) {
                let shed = std::mem::take(&mut state.shed);
                self.wake_shed(shed);
            }
        }
    }

    /// Of each route that does not move, one queue is tried again, ever more seldom; it wakes the others if it gets through.
    pub(super) fn tend_shed(&mut self) {
        let (now, mut tried) = (self.now, Vec::new());
        let routes = &mut self.routes;
        self.shed_routes.retain(|route| {
            let Some(state) = routes.get_mut(route).filter(|state| !state.shed.is_empty()) else {
                return false;
            };
            if now >= state.try_at {
                tried.extend(state.shed.pop());
                state.backoff = (state.backoff * 2).min(SHED_MAX);
                state.try_at = now + state.backoff;
            }
            true
        });
        self.wake_shed(tried);
    }

    pub(super) fn shed_turn(&self) -> Now {
        let next = self.shed_routes.iter().filter_map(|route| self.routes.get(route));
        next.map(|state| state.try_at).min().unwrap_or(Now::MAX)
    }

    fn wake_shed(&mut self, keys: Vec<QueueKey>) {
        for key in keys {
            let shed = |queue: &Queue| matches!(queue.gate, Gate::Shut { why: Why::Route, .. });
            if self.queues.get(&key).is_some_and(shed) {
                self.wake(key);
            }
        }
    }
}
