//! What ends a session, and the report that says so.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rdkafka::error::RDKafkaErrorCode;

use crate::publish::kafka::clock::beside;
use crate::publish::kafka::error::{failure, kind_of_batch};
use crate::publish::kafka::session::{KafkaSession, Place, Suspicion};
use crate::publish::{PublishError, PublishErrorKind, Report};

impl KafkaSession {
    /// The error for a failed event; none for one that only went down with the session, of which nothing is known.
    pub(super) fn error(&mut self, place: usize, code: RDKafkaErrorCode) -> Option<PublishError> {
        let consequence = matches!(
            code,
            RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight | RDKafkaErrorCode::Fatal
        );
        if consequence && (self.failed || self.producer.is_none()) {
            return None;
        }
        self.failed = true;
        let cause = self.producer.as_ref().filter(|_| consequence).and_then(|p| p.fatal());
        let code = cause.unwrap_or(code);
        let topic = &self.places[place].topic;
        let attempt = "deliver in a pipelined session to";
        if code == RDKafkaErrorCode::NoOffset {
            return Some(PublishError::new(
                PublishErrorKind::Retriable,
                format!("failed to {attempt} topic `{topic}`: the client reported success without an offset"),
            ));
        }
        Some(failure(kind_of_batch(code), attempt, topic, code))
    }

    /// Looks for a partition whose connection is lost again and again under its events, and asks its leader whether it is there.
    pub(super) fn watch(&mut self) {
        let Some(losses) = self.shared.losses() else { return };
        let mut suspects = Vec::new();
        // What arrived since a question was asked is still to be known when it is answered.
        let under = self.suspicion.as_ref().map(|suspicion| suspicion.place);
        for (number, place) in self.places.iter_mut().enumerate().filter(|(number, _)| Some(*number) != under) {
            let lost = losses.of(&place.topic, place.partition);
            if place.stillness.suspicious(lost) {
                suspects.push(number);
            }
        }
        if self.suspicion.is_none()
            && !self.is_over()
            && let Some(place) = suspects.first().copied()
        {
            let Place { topic, partition, .. } = &self.places[place];
            let (plain, topic, partition, question) = (self.plain.clone(), Arc::clone(topic), *partition, self.question);
            let (shared, leader_answers) = (Arc::clone(&self.shared), Arc::default());
            self.suspicion = Some(Suspicion {
                place,
                leader_answers: Arc::clone(&leader_answers),
            });
            let answer = Arc::clone(&leader_answers);
            let asked = beside(move || {
                answer.get_or_init(|| plain.ask_leader(&topic, partition, question).is_ok());
                shared.wake.notify_one();
            });
            if asked.is_none() {
                leader_answers.get_or_init(|| false);
            }
        }
    }

    /// The report that ends the session for a partition under suspicion, if its leader is there and nothing moved meanwhile.
    pub(super) fn judge(&mut self) -> Option<Report> {
        let suspicion = self.suspicion.take_if(|suspicion| suspicion.leader_answers.get().is_some())?;
        let place = &mut self.places[suspicion.place];
        if suspicion.leader_answers.get() != Some(&true) || place.stillness.moved() || self.failed || self.shared.is_over() {
            place.stillness.forgive();
            return None;
        }
        let token = place.stillness.oldest()?;
        let text = format!(
            "the broker closes the connection on what is sent to partition {}, and answers when it is asked; its events go on one by one; compare \
             batch.size with the broker's socket.request.max.bytes",
            place.partition
        );
        Some(self.end(suspicion.place, token, &text))
    }

    /// The report that ends the session because the wall clock was set back under it, as soon as it has an event.
    pub(super) fn outlived(&mut self) -> Option<Report> {
        if self.failed || self.producer.is_none() || !self.era.is_over() {
            return None;
        }
        let mut places = self.places.iter().enumerate();
        let on_its_way = places.find_map(|(number, place)| Some((number, place.stillness.oldest()?)));
        let (place, token) = on_its_way.or_else(|| {
            let place = *self.held_back.first()?;
            Some((place, self.places[place].flow.next()?.0))
        })?;
        let text = "the wall clock of this host was set back, and the Kafka client waits by it";
        Some(self.end(place, token, text))
    }

    fn end(&mut self, place: usize, token: u64, why: &str) -> Report {
        self.failed = true;
        self.shared.over.store(true, Ordering::Release);
        let text = format!(
            "failed to deliver in a pipelined session to topic `{}`: {why}",
            self.places[place].topic
        );
        Report::new(token, Err(PublishError::new(PublishErrorKind::Retriable, text)))
    }

    /// The report of a client that gave up while it had no event that could tell: one that waits for its partition does.
    pub(super) fn last_word(&mut self) -> Option<Report> {
        if !self.is_over() || self.failed || self.outstanding > 0 {
            return None;
        }
        let place = *self.held_back.first()?;
        let (token, _) = self.places[place].flow.next()?;
        let error = self.error(place, RDKafkaErrorCode::Fatal)?;
        Some(Report::new(token, Err(error)))
    }
}
