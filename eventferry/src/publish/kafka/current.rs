//! The plain client that is in use: another one after the wall clock was set back.

use std::mem;
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;
use tokio::sync::Mutex;

use crate::event::Message;
use crate::publish::kafka::clock::{Era, WallClock};
use crate::publish::kafka::plain::{Answer, PlainProducer};
use crate::publish::kafka::settings::Settings;
use crate::publish::{PublishError, PublishErrorKind, Scope};

/// How long the making of a client may take.
pub(super) const MAKE: Duration = Duration::from_secs(10);

/// The plain client of a publisher.
#[derive(Debug)]
pub(super) struct Current {
    settings: Settings,
    clock: WallClock,
    /// Locked while another one is made, so that one is.
    made: Mutex<Made>,
}

/// A client, and the era in which it was made.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) client: PlainProducer,
    pub(super) era: Era,
}

impl Current {
    pub(super) fn new(settings: &Settings, clock: WallClock) -> Result<Self, PublishError> {
        let era = clock.era();
        let client = PlainProducer::new(settings)?;
        Ok(Self {
            settings: settings.clone(),
            clock,
            made: Mutex::new(Made { client, era }),
        })
    }

    /// The client, which is a new one if the clock was set back since the last was made.
    ///
    /// Cancel safe: the next caller makes it.
    pub(super) async fn client(&self) -> Result<Made, PublishError> {
        let mut made = self.made.lock().await;
        if made.era.is_over() {
            let (settings, era) = (self.settings.clone(), self.clock.era());
            let client = era.call(MAKE, move || PlainProducer::new(&settings)).await;
            let client = client.unwrap_or_else(|| {
                let text = format!("failed to make a Kafka client: none was ready within {MAKE:?}");
                Err(PublishError::new(PublishErrorKind::Unavailable(Scope::Publisher), text))
            })?;
            mem::replace(&mut *made, Made { client, era }).client.give_up();
            tracing::warn!("the wall clock of this host was set back, and Kafka's client waits by it: another one has taken its place");
        }
        Ok(made.clone())
    }

    /// Publishes an event. A client that was there when the clock was set back is not waited for: its answer may take an hour.
    pub(super) async fn publish(&self, message: &Message, partition: Option<i32>) -> Result<Answer, PublishError> {
        let made = self.client().await?;
        let receiver = match made.client.send(message, partition) {
            Ok(receiver) => receiver,
            Err(code) => return Ok(Err(code)),
        };
        let given_up = Err(RDKafkaErrorCode::PurgeInflight);
        Ok(tokio::select! {
            biased;
            // The sender goes only with the client.
            answer = receiver => answer.unwrap_or(given_up),
            () = made.era.ended() => given_up,
        })
    }
}
