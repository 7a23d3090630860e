//! The servers, lines and relays of one run, and how each fault is carried out on them.

use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use eventferry::testing::proxy::{Line, TcpProxy};
use eventferry::testing::verify::{Act, Arrivals, Database, Fault, Link};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::kafka::TestTopic;
use crate::own_kafka::OwnKafka;
use crate::servers;
use crate::verify::Verification;
use crate::verify::crew::{Relay, Wish};
use crate::verify::database::{File, Home, Server};

/// How late bytes are on a slow line.
const LATE: Duration = Duration::from_millis(120);
/// How far the clock of the relays is set forward, and then back. Not the other way round: libfaketime does not reach the timed waits of C11, so
/// that behind the host's clock nothing of librdkafka waits at all, which is like no clock that was set.
const HOUR: i64 = 3_600;
/// How long a broker may take to start again.
const RETURN: Duration = Duration::from_mins(4);

/// Dropped from top to bottom: the topic is deleted on a broker that is still there, or its client waits a minute for an answer.
pub(super) struct Stage {
    relays: Vec<Relay>,
    relays_broker: TcpProxy,
    topic: TestTopic,
    home: Home,
    kafka: OwnKafka,
}

impl Stage {
    pub(super) async fn open(wanted: &Verification) -> Option<Self> {
        let clock = wanted.faults.contains(&Fault::StepClock).then(|| servers::require("faketime"));
        let (home, kafka) = if wanted.database == Database::File {
            let kafka = OwnKafka::builder().start().await?;
            // In a folder that is removed whatever becomes of this process.
            let file = File::create(kafka.folder().to_path_buf(), wanted.lease).await;
            (Home::Sqlite(file), kafka)
        } else {
            let (server, kafka) = tokio::join!(Server::start(wanted.lease), OwnKafka::builder().start());
            (Home::Postgres(Box::new(server?)), kafka?)
        };
        // The broker's clock is the database's: what waits between the two is measured on one host.
        let topic = TestTopic::create(&kafka.brokers(), 4, &[("message.timestamp.type", "LogAppendTime")]).await;
        let (listener, advertised) = kafka.proxied(1);
        let mut stage = Self {
            relays_broker: TcpProxy::start_at(&advertised, &listener)
                .await
                .expect("the advertised port is free"),
            relays: Vec::new(),
            home,
            topic,
            kafka,
        };
        if let Some(library) = clock {
            fs::write(stage.clock_file(), "+0\n").expect("the folder can be written to");
            stage.relays_of(wanted, library.as_deref());
        } else {
            stage.relays_of(wanted, None);
        }
        Some(stage)
    }

    fn relays_of(&mut self, wanted: &Verification, faketime: Option<&str>) {
        let mut command = Vec::new();
        if let Some(library) = faketime {
            command = vec![
                "env".to_owned(),
                format!("LD_PRELOAD={library}"),
                format!("FAKETIME_TIMESTAMP_FILE={}", self.clock_file()),
                "FAKETIME_NO_CACHE=1".to_owned(),
                "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
                "FAKETIME_DONT_RESET=1".to_owned(),
            ];
        }
        command.push(wanted.relay_program.to_str().expect("a path of ours is text").to_owned());
        command.push(self.home.url());
        command.push(self.relays_broker.address().to_string());
        command.extend(wanted.relay_options.iter().cloned());
        self.relays = (0..wanted.relays).map(|_| Relay::start(command.clone())).collect();
    }

    fn clock_file(&self) -> String {
        self.kafka.folder().join("clock").display().to_string()
    }

    pub(super) fn topic(&self) -> &str {
        self.topic.name()
    }

    pub(super) fn home(&self) -> &Home {
        &self.home
    }

    /// Ends every relay in order; answers how many strays they found.
    pub(super) async fn end_relays(&mut self) -> u64 {
        for relay in &mut self.relays {
            relay.be(Wish::Ended).await;
        }
        self.relays.iter().map(Relay::strays).sum()
    }

    pub(super) fn starts(&self) -> u64 {
        self.relays.iter().map(Relay::starts).sum()
    }

    /// What stands in the topic.
    pub(super) async fn arrivals(&self) -> Arrivals {
        let mut arrivals = Arrivals::new();
        for logged in self.topic.log().await {
            let at = UNIX_EPOCH + Duration::from_millis(logged.timestamp.unwrap_or_default().unsigned_abs());
            arrivals.arrive(&logged, at, (logged.partition, logged.offset));
        }
        arrivals
    }

    pub(super) async fn begin(&mut self, act: Act) {
        match act.fault {
            Fault::KillRelay => self.relay(act).be(Wish::Killed).await,
            Fault::FreezeRelay => self.relay(act).be(Wish::Frozen).await,
            Fault::StepClock => self.step_clock(HOUR),
            Fault::RestartDatabase => self.home.server().stop().await,
            Fault::KillDatabase => self.home.server().kill().await,
            Fault::RestartBroker => self.kafka.stop(1).await,
            Fault::KillBroker => self.kafka.kill(1).await,
            Fault::Cut(link) if act.lasts.is_zero() => self.line(link).cut(),
            Fault::Cut(link) => self.line(link).set(Line::Refused),
            Fault::Slow(link) => self.line(link).set(Line::Slow { up: LATE, down: LATE }),
            Fault::Stall(link, way) => self.line(link).set(Line::Stalled(way)),
            Fault::StealLanes => self.home.steal(act).await,
            Fault::ExhaustConnections => self.home.server().hoard().await,
            Fault::HoldFile => self.home.file().hold().await,
            other => panic!("`{other}` cannot be carried out here"),
        }
    }

    pub(super) async fn end(&mut self, act: Act) {
        match act.fault {
            Fault::KillRelay | Fault::FreezeRelay => self.relay(act).be(Wish::Running).await,
            Fault::StepClock => self.step_clock(0),
            Fault::RestartDatabase | Fault::KillDatabase => self.home.server().start_again().await,
            Fault::RestartBroker | Fault::KillBroker => {
                self.kafka.start_again(1).await;
                self.until_the_broker_is_back().await;
            }
            Fault::Cut(link) | Fault::Slow(link) => self.line(link).set(Line::Open),
            Fault::Stall(link, _) => {
                // Some lines come back to life; of others both ends hear that they are gone.
                if act.which.is_multiple_of(2) {
                    self.line(link).cut();
                }
                self.line(link).set(Line::Open);
            }
            Fault::ExhaustConnections => self.home.server().share(),
            Fault::HoldFile => self.home.file().let_go().await,
            Fault::StealLanes => {}
            other => panic!("`{other}` cannot be mended here"),
        }
    }

    /// Waits longer than tests do: a broker that starts while everything else is busy takes its time.
    async fn until_the_broker_is_back(&self) {
        let brokers = self.kafka.brokers();
        let waiting = tokio::task::spawn_blocking(move || {
            let client: BaseConsumer = ClientConfig::new()
                .set("bootstrap.servers", &brokers)
                .set("reconnect.backoff.max.ms", "100")
                .set("log_level", "0")
                .create()
                .expect("a client can be made");
            (0..RETURN.as_secs()).any(|_| {
                client
                    .fetch_metadata(None, Duration::from_secs(1))
                    .is_ok_and(|known| known.brokers().len() == 1)
            })
        });
        assert!(
            waiting.await.expect("does not panic"),
            "the broker was not back after {RETURN:?} of questions"
        );
    }

    fn relay(&mut self, act: Act) -> &mut Relay {
        let number = act.which as usize % self.relays.len();
        &mut self.relays[number]
    }

    fn line(&mut self, link: Link) -> &TcpProxy {
        if link == Link::RelaysBroker {
            return &self.relays_broker;
        }
        self.home.server().line(link)
    }

    /// Moves the wall clock of every relay.
    fn step_clock(&self, seconds: i64) {
        // One move, so that nobody reads half a number.
        let (file, new) = (self.clock_file(), self.clock_file() + ".new");
        fs::write(&new, format!("{seconds:+}\n")).expect("the folder can be written to");
        fs::rename(&new, &file).expect("the folder can be written to");
    }
}
