//! Databases of one test each.

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, PgPool};

use crate::own_postgres::OwnPostgres;
use crate::servers;

/// A database that no other test sees; dropped with this value, whatever sessions are still in it.
#[derive(Debug)]
pub struct FreshDatabase {
    /// Connections to it, up to 64.
    pub pool: PgPool,
    /// What the pool connects with.
    pub options: PgConnectOptions,
    name: String,
    server: PgConnectOptions,
    /// Whether the server outlives the database: one of a test's own goes with all it has, and may be down by then.
    shared: bool,
}

/// A new, empty database on the test server; `None`, said aloud, where there is no server.
///
/// # Panics
/// If the server is there and refuses.
pub async fn fresh() -> Option<FreshDatabase> {
    let url = servers::require("postgres")?;
    let server: PgConnectOptions = url.parse().expect("EVENTFERRY_PG_URL is not the URL of a PostgreSQL server");
    Some(make(server.disable_statement_logging(), true).await)
}

/// A new, empty database on a server of the test's own.
///
/// # Panics
/// If the server refuses.
pub async fn fresh_on(server: &OwnPostgres) -> FreshDatabase {
    make(server.options("postgres"), false).await
}

async fn make(server: PgConnectOptions, shared: bool) -> FreshDatabase {
    let name = format!("t_{}", uuid::Uuid::new_v4().simple());
    run(&server, format!("CREATE DATABASE {name}")).await;
    // A statement that waits for ever fails its test. A relay's sessions have a limit of their own.
    let options = server.clone().database(&name).options([("statement_timeout", "5min")]);
    let pool = PgPoolOptions::new().max_connections(64).connect_lazy_with(options.clone());
    FreshDatabase {
        pool,
        options,
        name,
        server,
        shared,
    }
}

async fn run(server: &PgConnectOptions, statement: String) {
    let mut connection = PgConnection::connect_with(server)
        .await
        .expect("cannot connect to the PostgreSQL of the tests");
    connection
        .execute(AssertSqlSafe(statement))
        .await
        .expect("cannot make or drop a database of the tests");
    drop(connection.close().await);
}

impl FreshDatabase {
    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A connection of its own, outside the pool.
    ///
    /// # Panics
    /// If the server refuses.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect_with(&self.options)
            .await
            .expect("cannot connect to a database of the tests")
    }
}

impl Drop for FreshDatabase {
    fn drop(&mut self) {
        if !self.shared {
            return;
        }
        let (server, name) = (self.server.clone(), self.name.clone());
        // A runtime of its own: this one may be shutting down, or be the only thread.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime
                .expect("cannot start a runtime")
                .block_on(run(&server, format!("DROP DATABASE {name} WITH (FORCE)")));
        });
        // A failed clean-up must not hide the test's own failure.
        drop(dropped.join());
    }
}
