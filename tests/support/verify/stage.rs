//! The servers, lines and relays of one run, and how each fault is carried out on them.

use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use eventferry::TableName;
use eventferry::store::postgres::PostgresStore;
use eventferry::testing::proxy::{Line, TcpProxy};
use eventferry::testing::verify::{Act, Arrivals, Fault, Link};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};
use tokio::time::timeout;

use crate::kafka::TestTopic;
use crate::own_kafka::OwnKafka;
use crate::own_postgres::OwnPostgres;
use crate::servers;
use crate::verify::Verification;
use crate::verify::crew::{Relay, Wish};

/// How late bytes are on a slow line.
const LATE: Duration = Duration::from_millis(120);
/// How long a broker may take to start again.
const RETURN: Duration = Duration::from_mins(4);

pub(super) struct Stage {
    postgres: OwnPostgres,
    kafka: OwnKafka,
    topic: TestTopic,
    writers_database: TcpProxy,
    relays_database: TcpProxy,
    relays_broker: TcpProxy,
    relays: Vec<Relay>,
    /// Connections that nobody uses and nobody else can have.
    hoard: Vec<PgConnection>,
    direct: PgPool,
}

impl Stage {
    pub(super) async fn open(wanted: &Verification) -> Option<Self> {
        let clock = wanted.faults.contains(&Fault::StepClock).then(|| servers::require("faketime"));
        let settings = [
            ("track_commit_timestamp", "on"),
            ("deadlock_timeout", "100ms"),
            ("idle_in_transaction_session_timeout", "20s"),
            ("max_connections", "80"),
        ];
        let (postgres, kafka) = tokio::join!(OwnPostgres::start(&settings), OwnKafka::builder().start());
        let (postgres, kafka) = (postgres?, kafka?);
        let direct = PgPoolOptions::new()
            .max_connections(2)
            .connect_lazy_with(postgres.options("postgres"));
        PostgresStore::migrate(&direct, &TableName::default()).await.expect("migrates");
        sqlx::query("UPDATE outbox_meta SET lease_ms = $1")
            .bind(i32::try_from(wanted.lease.as_millis()).expect("a short lease"))
            .execute(&direct)
            .await
            .expect("the lease can be set");
        // The broker's clock is the database's: what waits between the two is measured on one host.
        let topic = TestTopic::create(&kafka.brokers(), 4, &[("message.timestamp.type", "LogAppendTime")]).await;
        let address = format!("127.0.0.1:{}", postgres.port());
        let (listener, advertised) = kafka.proxied(1);
        let mut stage = Self {
            writers_database: TcpProxy::start(&address).await.expect("a port is free"),
            relays_database: TcpProxy::start(&address).await.expect("a port is free"),
            relays_broker: TcpProxy::start_at(&advertised, &listener)
                .await
                .expect("the advertised port is free"),
            relays: Vec::new(),
            hoard: Vec::new(),
            direct,
            topic,
            kafka,
            postgres,
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
        command.push(format!("postgres://postgres@{}/postgres", self.relays_database.address()));
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

    /// Connections through the writers' line. Many: one that hangs is given up by its writer, not by the pool.
    pub(super) fn writers_pool(&self) -> PgPool {
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.writers_database.address().port())
            .username("postgres")
            .database("postgres")
            .disable_statement_logging();
        PgPoolOptions::new()
            .max_connections(32)
            .acquire_timeout(Duration::from_secs(5))
            .connect_lazy_with(options)
    }

    /// How many rows wait; none if the database does not say.
    pub(super) async fn waiting(&self) -> Option<i64> {
        let count = sqlx::query_scalar("SELECT count(*) FROM outbox WHERE status IN (0, 1, 3, 5)").fetch_one(&self.direct);
        timeout(Duration::from_secs(1), count).await.ok()?.ok()
    }

    pub(super) async fn attempts_and_dead(&self) -> (i64, i64) {
        sqlx::query_as("SELECT coalesce(sum(attempts), 0)::int8, count(*) FILTER (WHERE status IN (4, 5)) FROM outbox")
            .fetch_one(&self.direct)
            .await
            .expect("the outbox can be read")
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
            Fault::StepClock => self.step_clock(if act.which.is_multiple_of(2) { 3_600 } else { -3_600 }),
            Fault::RestartDatabase => self.postgres.stop().await,
            Fault::KillDatabase => self.postgres.kill().await,
            Fault::RestartBroker => self.kafka.stop(1).await,
            Fault::KillBroker => self.kafka.kill(1).await,
            Fault::Cut(link) if act.lasts.is_zero() => self.line(link).cut(),
            Fault::Cut(link) => self.line(link).set(Line::Refused),
            Fault::Slow(link) => self.line(link).set(Line::Slow { up: LATE, down: LATE }),
            Fault::Stall(link, way) => self.line(link).set(Line::Stalled(way)),
            Fault::StealLanes => self.steal(act).await,
            Fault::ExhaustConnections => self.hoard().await,
            other => panic!("`{other}` cannot be carried out here"),
        }
    }

    pub(super) async fn end(&mut self, act: Act) {
        match act.fault {
            Fault::KillRelay | Fault::FreezeRelay => self.relay(act).be(Wish::Running).await,
            Fault::StepClock => self.step_clock(0),
            Fault::RestartDatabase | Fault::KillDatabase => self.postgres.start_again().await,
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
            Fault::ExhaustConnections => self.hoard.clear(),
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

    fn line(&self, link: Link) -> &TcpProxy {
        match link {
            Link::WritersDatabase => &self.writers_database,
            Link::RelaysDatabase => &self.relays_database,
            Link::RelaysBroker => &self.relays_broker,
            other => panic!("there is no line `{other}` here"),
        }
    }

    /// Moves the wall clock of every relay.
    fn step_clock(&self, seconds: i64) {
        // One move, so that nobody reads half a number.
        let (file, new) = (self.clock_file(), self.clock_file() + ".new");
        fs::write(&new, format!("{seconds:+}\n")).expect("the folder can be written to");
        fs::rename(&new, &file).expect("the folder can be written to");
    }

    /// Takes half of the lanes: as somebody who then does nothing with them, or by a new epoch of the same owner.
    async fn steal(&self, act: Act) {
        let steal = if act.which.is_multiple_of(2) {
            "UPDATE outbox_lane SET epoch = epoch + 1, owner = gen_random_uuid(), taken_at = clock_timestamp(), \
             leased_until = clock_timestamp() + (SELECT lease_ms * interval '1 millisecond' FROM outbox_meta) WHERE lane % 2 = $1"
        } else {
            "UPDATE outbox_lane SET epoch = epoch + 1 WHERE lane % 2 = $1"
        };
        let stolen = sqlx::query(steal).bind(i32::from(act.which % 4 > 1)).execute(&self.direct).await;
        assert_eq!(stolen.expect("lanes can be stolen").rows_affected(), 32);
    }

    /// Takes every connection the server has left.
    async fn hoard(&mut self) {
        let options = self.postgres.options("postgres");
        while let Ok(connection) = PgConnection::connect_with(&options).await {
            self.hoard.push(connection);
            assert!(self.hoard.len() < 1_000, "the server has no limit");
        }
    }
}
