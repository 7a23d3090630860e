//! The database of one run, PostgreSQL or SQLite, and what can be done to it.

use std::path::PathBuf;
use std::time::Duration;

use eventferry::TableName;
use eventferry::store::postgres::PostgresStore;
use eventferry::store::sqlite::SqliteStore;
use eventferry::testing::proxy::TcpProxy;
use eventferry::testing::verify::{Act, Link};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool, Sqlite, SqlitePool, Transaction};
use tokio::time::timeout;

use crate::own_postgres::OwnPostgres;

/// What waits for an answer of the database that is not part of what is verified.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) enum Home {
    Postgres(Box<Server>),
    Sqlite(File),
}

/// A PostgreSQL, and the lines to it.
pub(super) struct Server {
    postgres: OwnPostgres,
    writers: TcpProxy,
    relays: TcpProxy,
    /// Connections that nobody uses and nobody else can have.
    hoard: Vec<PgConnection>,
    direct: PgPool,
}

/// A database file. It lies in a folder that somebody else removes.
pub(super) struct File {
    path: PathBuf,
    direct: SqlitePool,
    /// A transaction that has begun to write.
    held: Option<Transaction<'static, Sqlite>>,
}

impl Home {
    /// What a relay is told.
    pub(super) fn url(&self) -> String {
        match self {
            Self::Postgres(server) => format!("postgres://postgres@{}/postgres", server.relays.address()),
            Self::Sqlite(file) => format!("sqlite:{}", file.path.display()),
        }
    }

    /// How many rows wait; none if the database does not say.
    pub(super) async fn waiting(&self) -> Option<i64> {
        const WAITING: &str = "SELECT count(*) FROM outbox WHERE status IN (0, 1, 3, 5)";
        match self {
            Self::Postgres(server) => timeout(PATIENCE, sqlx::query_scalar(WAITING).fetch_one(&server.direct)).await,
            Self::Sqlite(file) => timeout(PATIENCE, sqlx::query_scalar(WAITING).fetch_one(&file.direct)).await,
        }
        .ok()?
        .ok()
    }

    pub(super) async fn attempts_and_dead(&self) -> (i64, i64) {
        const BOTH: &str = "SELECT CAST(coalesce(sum(attempts), 0) AS bigint), count(*) FILTER (WHERE status IN (4, 5)) FROM outbox";
        match self {
            Self::Postgres(server) => sqlx::query_as(BOTH).fetch_one(&server.direct).await,
            Self::Sqlite(file) => sqlx::query_as(BOTH).fetch_one(&file.direct).await,
        }
        .expect("the outbox can be read")
    }

    /// Takes half of the lanes: as somebody who then does nothing with them, or by a new epoch of the same owner.
    pub(super) async fn steal(&self, act: Act) {
        let half = i32::from(act.which % 4 > 1);
        let owned = act.which.is_multiple_of(2);
        let stolen = match self {
            Self::Postgres(server) => {
                let steal = if owned {
                    "UPDATE outbox_lane SET epoch = epoch + 1, owner = gen_random_uuid(), taken_at = clock_timestamp(), \
                     leased_until = clock_timestamp() + (SELECT lease_ms * interval '1 millisecond' FROM outbox_meta) WHERE lane % 2 = $1"
                } else {
                    "UPDATE outbox_lane SET epoch = epoch + 1 WHERE lane % 2 = $1"
                };
                let done = sqlx::query(steal).bind(half).execute(&server.direct).await;
                done.expect("lanes can be stolen").rows_affected()
            }
            Self::Sqlite(file) => {
                let steal = if owned {
                    "UPDATE outbox_lane SET epoch = epoch + 1, owner = randomblob(16), \
                     leased_until = CAST(unixepoch('subsec') * 1000000 AS INTEGER) + (SELECT lease_micros FROM outbox_meta) WHERE lane % 2 = ?1"
                } else {
                    "UPDATE outbox_lane SET epoch = epoch + 1 WHERE lane % 2 = ?1"
                };
                let done = sqlx::query(steal).bind(half).execute(&file.direct).await;
                done.expect("lanes can be stolen").rows_affected()
            }
        };
        assert_eq!(stolen, 32, "half of the lanes");
    }

    /// # Panics
    /// If it is a file.
    pub(super) fn server(&mut self) -> &mut Server {
        match self {
            Self::Postgres(server) => server,
            Self::Sqlite(_) => panic!("a file has no server"),
        }
    }

    /// # Panics
    /// If it is a server.
    pub(super) fn file(&mut self) -> &mut File {
        match self {
            Self::Sqlite(file) => file,
            Self::Postgres(_) => panic!("a server has no file of its own"),
        }
    }
}

impl Server {
    /// A migrated outbox with this lease; `None`, said aloud, where PostgreSQL's programs are missing.
    pub(super) async fn start(lease: Duration) -> Option<Self> {
        let settings = [
            ("track_commit_timestamp", "on"),
            ("deadlock_timeout", "100ms"),
            ("idle_in_transaction_session_timeout", "20s"),
            ("max_connections", "80"),
        ];
        let postgres = OwnPostgres::start(&settings).await?;
        let direct = PgPoolOptions::new()
            .max_connections(2)
            .connect_lazy_with(postgres.options("postgres"));
        PostgresStore::migrate(&direct, &TableName::default()).await.expect("migrates");
        sqlx::query("UPDATE outbox_meta SET lease_ms = $1")
            .bind(i32::try_from(lease.as_millis()).expect("a short lease"))
            .execute(&direct)
            .await
            .expect("the lease can be set");
        let address = format!("127.0.0.1:{}", postgres.port());
        Some(Self {
            writers: TcpProxy::start(&address).await.expect("a port is free"),
            relays: TcpProxy::start(&address).await.expect("a port is free"),
            hoard: Vec::new(),
            direct,
            postgres,
        })
    }

    /// Connections through the writers' line. Many: one that hangs is given up by its writer, not by the pool.
    pub(super) fn writers_pool(&self) -> PgPool {
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.writers.address().port())
            .username("postgres")
            .database("postgres")
            .disable_statement_logging();
        PgPoolOptions::new()
            .max_connections(32)
            .acquire_timeout(Duration::from_secs(5))
            .connect_lazy_with(options)
    }

    /// # Panics
    /// If the line is the broker's.
    pub(super) fn line(&self, link: Link) -> &TcpProxy {
        match link {
            Link::WritersDatabase => &self.writers,
            Link::RelaysDatabase => &self.relays,
            other @ (Link::RelaysBroker | _) => panic!("`{other}` is no line of the database"),
        }
    }

    pub(super) async fn stop(&mut self) {
        self.postgres.stop().await;
    }

    pub(super) async fn kill(&mut self) {
        self.postgres.kill().await;
    }

    pub(super) async fn start_again(&mut self) {
        self.postgres.start_again().await;
    }

    /// Takes every connection the server has left.
    pub(super) async fn hoard(&mut self) {
        let options = self.postgres.options("postgres");
        while let Ok(connection) = PgConnection::connect_with(&options).await {
            self.hoard.push(connection);
            assert!(self.hoard.len() < 1_000, "the server has no limit");
        }
    }

    pub(super) fn share(&mut self) {
        self.hoard.clear();
    }
}

impl File {
    /// A migrated outbox with this lease in a new file of this folder.
    pub(super) async fn create(folder: PathBuf, lease: Duration) -> Self {
        let path = folder.join("outbox.db");
        // Longer than any fault: what breaks and mends things is not itself verified.
        let options = options(&path).busy_timeout(Duration::from_secs(30));
        let direct = SqlitePoolOptions::new()
            .max_connections(3)
            .connect_with(options)
            .await
            .expect("the file can be made");
        SqliteStore::migrate(&direct, &TableName::default()).await.expect("migrates");
        sqlx::query("UPDATE outbox_meta SET lease_micros = ?1")
            .bind(i64::try_from(lease.as_micros()).expect("a short lease"))
            .execute(&direct)
            .await
            .expect("the lease can be set");
        Self { path, direct, held: None }
    }

    /// Connections as a service would open them. Many: one whose turn does not come is given up by its writer, not by the pool.
    pub(super) fn writers_pool(&self) -> SqlitePool {
        SqlitePoolOptions::new()
            .max_connections(32)
            .acquire_timeout(Duration::from_secs(5))
            .connect_lazy_with(options(&self.path))
    }

    /// Begins to write, and does not end.
    pub(super) async fn hold(&mut self) {
        let held = self.direct.begin_with("BEGIN IMMEDIATE").await;
        self.held = Some(held.expect("it is its turn some time"));
    }

    pub(super) async fn let_go(&mut self) {
        if let Some(held) = self.held.take() {
            held.rollback().await.expect("it can end");
        }
    }
}

/// As `docs/sqlite.md` says.
fn options(path: &std::path::Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        .disable_statement_logging()
}
