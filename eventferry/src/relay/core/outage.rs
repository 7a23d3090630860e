//! What is away, for how long, and what must not wait with it.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::queue::{Gate, QueueKey, Why};
use super::send::PLAIN_FOR;
use super::{Command, Core, Notice, Now, PublishCommand};
use crate::publish::{PublishErrorKind, Scope};

pub(super) const AWAY_MIN: Duration = Duration::from_millis(50);
pub(super) const AWAY_MAX: Duration = Duration::from_secs(1);
/// How often the partition counts of topics in use are looked up again.
/// After this long without a delivery of what is in flight, they are looked up as often.
const SILENCE: Duration = Duration::from_secs(5);
const REFRESH: Duration = Duration::from_mins(1);
/// How often what is learned of sizes may end the time in which a topic's events go one by one.
const LESSONS: Duration = Duration::from_mins(1);

/// What must be there before an event can go: a topic, or a schema that events of a topic name.
#[derive(Debug)]
pub(super) struct TopicState {
    pub(super) name: Arc<str>,
    pub(super) schema: Option<Arc<str>>,
    pub(super) partitions: Partitions,
    pub(super) plain_until: Now,
    /// Payloads of more bytes than this go by one call each: one like them was refused.
    pub(super) largest: usize,
    /// The first moment in which it may be learned again that a size was to blame.
    teachable: Now,
    pub(super) backoff: Duration,
    /// Whether people were told that it is away.
    pub(super) told: bool,
    /// Queues whose first row is for this topic while it is looked up or away.
    pub(super) waiting: Vec<QueueKey>,
    pub(super) shut: Vec<QueueKey>,
    refreshing: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Partitions {
    Unasked,
    Asked,
    Known(u32),
    Away { until: Now },
}

impl TopicState {
    /// Without anything to ask for, it is taken to be there until a publish says otherwise.
    fn new(name: Arc<str>, schema: Option<Arc<str>>, asks: bool) -> Self {
        Self {
            name,
            schema,
            partitions: if asks { Partitions::Unasked } else { Partitions::Known(0) },
            plain_until: Now::ZERO,
            largest: usize::MAX,
            teachable: Now::ZERO,
            backoff: AWAY_MIN,
            told: false,
            waiting: Vec::new(),
            shut: Vec::new(),
            refreshing: false,
        }
    }

    /// A call for an event with so many bytes was refused: the topic's events take the plain route for a while, unless only that one's size
    /// was to blame. Most of what is refused for ever is too large, and whatever is as large shall end no session, so the others go together
    /// again at once. If that was not it, the next delivery of something larger says so; until it is believed again there is a pause, so that
    /// a wrong lesson costs one session more a minute.
    pub(super) fn refused(&mut self, kind: PublishErrorKind, bytes: usize, now: Now) {
        let rejected = kind == PublishErrorKind::Rejected;
        if rejected && bytes > self.largest {
            return;
        }
        let stalled = self.plain_until > now + PLAIN_FOR;
        self.plain_until = now + PLAIN_FOR;
        if rejected {
            // A little less, or each event that is a little smaller would be found out by itself.
            self.largest = bytes - bytes / 8 - usize::from(bytes > 0);
            if self.teachable <= now && !stalled {
                self.plain_until = now;
                self.teachable = now + LESSONS;
            }
        }
    }

    /// The question whether it is there.
    pub(super) fn ask(&self) -> Command {
        let topic = self.name.clone();
        Command::Publish(match &self.schema {
            None => PublishCommand::Describe(topic),
            Some(schema) => PublishCommand::Learn {
                topic,
                schema: schema.clone(),
            },
        })
    }

    fn away(&self, problem: String) -> Notice {
        let topic = self.name.clone();
        match &self.schema {
            None => Notice::TopicAway(topic),
            Some(schema) => Notice::SchemaAway {
                topic,
                schema: schema.clone(),
                problem,
            },
        }
    }

    fn back(&self) -> Notice {
        let topic = self.name.clone();
        match &self.schema {
            None => Notice::TopicBack(topic),
            Some(schema) => Notice::SchemaBack {
                topic,
                schema: schema.clone(),
            },
        }
    }
}

impl Core {
    pub(super) fn on_learned(&mut self, topic: &str, schema: &str, problem: Option<String>) {
        let Some(topic) = self.topic_index.get(topic).copied() else {
            return;
        };
        let Some(places) = self.schema_index.get(schema) else { return };
        let Some((_, index)) = places.iter().find(|(of, _)| *of == topic).copied() else {
            return;
        };
        match problem {
            None => self.topic_known(index, 0),
            Some(problem) => self.away(index, problem),
        }
    }

    pub(super) fn on_described(&mut self, name: &str, partitions: Result<u32, PublishErrorKind>) {
        let Some(index) = self.topic_index.get(name).copied() else { return };
        let refreshing = std::mem::take(&mut self.topics[index as usize].refreshing);
        match partitions {
            Ok(count) => {
                self.publisher_back();
                self.topic_known(index, count.max(1));
            }
            Err(PublishErrorKind::Unavailable(Scope::Topic)) => self.topic_away(index),
            // No such topic can exist: without partitions its events take the plain route, where each is judged by itself.
            Err(PublishErrorKind::Rejected | PublishErrorKind::Retriable) => self.topic_known(index, 0),
            Err(_) => {
                if !refreshing {
                    let (now, state) = (self.now, &mut self.topics[index as usize]);
                    // What is shut on the topic is woken by the answer to the next question only.
                    state.partitions = if state.shut.is_empty() {
                        Partitions::Unasked
                    } else {
                        Partitions::Away { until: now + AWAY_MAX }
                    };
                    self.ready.extend(state.waiting.drain(..));
                }
                self.publisher_away();
            }
        }
    }

    fn topic_known(&mut self, topic: u32, count: u32) {
        let state = &mut self.topics[topic as usize];
        let before = std::mem::replace(&mut state.partitions, Partitions::Known(count));
        self.ready.extend(state.waiting.drain(..));
        for key in std::mem::take(&mut state.shut) {
            if self
                .queues
                .get(&key)
                .is_some_and(|queue| matches!(queue.gate, Gate::Shut { why: Why::Topic, .. }))
            {
                self.wake(key);
            }
        }
        // After a refusal only a delivery shows that it may be written.
        if self.topics[topic as usize].plain_until <= self.now {
            self.topic_back(topic);
        }
        if matches!(before, Partitions::Known(known) if known != count) {
            // Keys move to other partitions: nothing may be in flight by the old count.
            for group in 0..self.sessions.len() {
                self.close_session(group);
            }
        }
    }

    pub(super) fn topic_away(&mut self, topic: u32) {
        self.away(topic, String::new());
    }

    fn away(&mut self, topic: u32, problem: String) {
        let now = self.now;
        let state = &mut self.topics[topic as usize];
        if let Partitions::Away { .. } = state.partitions {
            return;
        }
        state.partitions = Partitions::Away {
            until: now + state.backoff,
        };
        state.backoff = (state.backoff * 2).min(AWAY_MAX);
        if !std::mem::replace(&mut state.told, true) {
            self.commands.push(Command::Tell(state.away(problem)));
        }
        let back: Vec<QueueKey> = state.waiting.drain(..).collect();
        self.ready.extend(back);
    }

    /// The broker did not answer when the outage should have been over.
    pub(super) fn still_away(&mut self) {
        self.away_until = Some(self.now + self.away_backoff);
        self.away_backoff = (self.away_backoff * 2).min(AWAY_MAX);
    }

    pub(super) fn publisher_away(&mut self) {
        if self.away_until.is_none() {
            self.still_away();
            self.probing = true;
            if !std::mem::replace(&mut self.away_told, true) {
                self.commands.push(Command::Tell(Notice::BrokerAway));
            }
        }
    }

    /// Something of a topic arrived, or it was found: it is there.
    pub(super) fn topic_back(&mut self, topic: u32) {
        let state = &mut self.topics[topic as usize];
        state.backoff = AWAY_MIN;
        if std::mem::take(&mut state.told) {
            self.commands.push(Command::Tell(state.back()));
        }
    }

    /// Something arrived: the broker is there.
    pub(super) fn publisher_back(&mut self) {
        self.away_backoff = AWAY_MIN;
        self.probing = false;
        if std::mem::take(&mut self.away_told) {
            self.commands.push(Command::Tell(Notice::BrokerBack));
        }
    }

    pub(super) fn tend_outages(&mut self) {
        let now = self.now;
        if self.away_until.is_some_and(|until| now >= until) && !self.doubts_outage() {
            self.away_until = None;
            self.ready.extend(self.away_waiting.drain(..));
        }
        while let Some(Reverse((at, key))) = self.timers.peek().copied() {
            if at > now {
                break;
            }
            self.timers.pop();
            if self.queues.get(&key).is_some_and(|q| {
                matches!(
                    q.gate,
                    Gate::Shut {
                        why: Why::Timer | Why::Retry,
                        ..
                    }
                )
            }) {
                self.wake(key);
            }
        }
        // A session tells nothing of an outage: where nothing comes back, the topics' metadata is the probe.
        let silent = !self.flights.is_empty() && now >= self.last_delivery + SILENCE;
        let refresh = self.config.pipelined && now >= self.last_refresh + if silent { SILENCE } else { REFRESH };
        if refresh {
            self.last_refresh = now;
        }
        for state in &mut self.topics {
            match state.partitions {
                Partitions::Away { until } if now >= until => {
                    if self.config.pipelined || state.schema.is_some() {
                        state.partitions = Partitions::Asked;
                        self.commands.push(state.ask());
                    } else {
                        state.partitions = Partitions::Known(0);
                        for key in state.shut.drain(..) {
                            if let Some(queue) = self.queues.get_mut(&key)
                                && let Gate::Shut { why: why @ Why::Topic, .. } = &mut queue.gate
                            {
                                *why = Why::Wake;
                                self.wake.push_back(key);
                            }
                        }
                    }
                }
                Partitions::Known(_) if refresh && !state.refreshing && state.schema.is_none() => {
                    state.refreshing = true;
                    self.commands.push(state.ask());
                }
                Partitions::Unasked | Partitions::Asked | Partitions::Known(_) | Partitions::Away { .. } => {}
            }
        }
    }

    pub(super) fn outage_turn(&self) -> Now {
        let topics = self.topics.iter().filter_map(|state| match state.partitions {
            Partitions::Away { until } => Some(until),
            Partitions::Unasked | Partitions::Asked | Partitions::Known(_) => None,
        });
        let timer = self.timers.peek().map(|Reverse((at, _))| *at);
        let shed = (self.room() < self.room_wanted() * 2).then_some(self.next_shed);
        let away = self.away_until.filter(|_| !self.alone.is_asked());
        topics.chain(away).chain(timer).chain(shed).min().unwrap_or(Now::MAX)
    }

    pub(super) fn timer(&mut self, after: Duration, key: QueueKey) {
        self.timers.push(Reverse((self.now + after, key)));
    }
}

/// The number of a topic, which it gets when it is first met.
pub(super) fn add_topic(topics: &mut Vec<TopicState>, index: &mut FxHashMap<Arc<str>, u32>, name: &str, pipelined: bool) -> u32 {
    if let Some(known) = index.get(name) {
        return *known;
    }
    let number = u32::try_from(topics.len()).unwrap_or(u32::MAX);
    let name: Arc<str> = Arc::from(name);
    topics.push(TopicState::new(name.clone(), None, pipelined));
    index.insert(name, number);
    number
}

/// The place of a schema that events of a topic name, which it gets when it is first met.
pub(super) fn add_schema(topics: &mut Vec<TopicState>, index: &mut FxHashMap<Arc<str>, Vec<(u32, u32)>>, topic: u32, schema: &str) -> u32 {
    if let Some((_, known)) = index.get(schema).and_then(|places| places.iter().find(|(of, _)| *of == topic)) {
        return *known;
    }
    let number = u32::try_from(topics.len()).unwrap_or(u32::MAX);
    let (name, schema): (_, Arc<str>) = (topics[topic as usize].name.clone(), Arc::from(schema));
    topics.push(TopicState::new(name, Some(schema.clone()), true));
    index.entry(schema).or_default().push((topic, number));
    number
}
