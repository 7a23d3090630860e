//! One connection of a relay, made again after every failure.

use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, PgPool, SqlStr};
use tokio::sync::{Mutex, MutexGuard};

use crate::event::TableName;
use crate::store::postgres::error::{lost_identity, store_error};
use crate::store::{StoreError, StoreErrorKind};

/// A connection that belongs to one task of a relay.
///
/// It is not taken from the pool: its settings (time limits, plans) must not leak into the service's own statements, and what the relay
/// remembers of the table belongs to one connection. Whoever uses it takes it out and puts it back when the answer is complete; a future that
/// is dropped in between drops the connection with it, so that no half-read answer is ever taken for the next one.
#[derive(Debug)]
pub(super) struct Session {
    name: &'static str,
    slot: Mutex<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    connection: Option<PgConnection>,
    made: u64,
}

/// A session in use.
#[derive(Debug)]
pub(super) struct InUse<'a> {
    slot: MutexGuard<'a, Slot>,
    connection: PgConnection,
}

impl Session {
    /// A session that connects when it is first used; `name` goes into `application_name`, where `session.sql` finds it again.
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            slot: Mutex::default(),
        }
    }

    /// Waits for the session to be free, and connects it if it is not.
    pub(super) async fn enter(&self, pool: &PgPool, table: &TableName, settings: &SqlStr) -> Result<InUse<'_>, StoreError> {
        let mut slot = self.slot.lock().await;
        let connection = if let Some(connection) = slot.connection.take() {
            connection
        } else {
            let connection = connect(pool, table, self.name, settings).await?;
            slot.made += 1;
            connection
        };
        Ok(InUse { slot, connection })
    }

    /// Ends the connection, if there is one.
    pub(super) async fn close(&self) {
        let connection = self.slot.lock().await.connection.take();
        if let Some(connection) = connection {
            // The server notices a connection that is simply gone as well.
            drop(connection.close().await);
        }
    }
}

impl InUse<'_> {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Which connection of this session this is: rises by one each time it is made again.
    pub(super) fn number(&self) -> u64 {
        self.slot.made
    }

    /// Puts the connection back, unless the answer leaves its state in doubt.
    pub(super) fn finish<T>(mut self, attempted: &str, table: &TableName, answer: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        match answer {
            Ok(value) => {
                self.slot.connection = Some(self.connection);
                Ok(value)
            }
            Err(error) => {
                let error = store_error(attempted, table, &error);
                if error.kind() == StoreErrorKind::Contention {
                    self.slot.connection = Some(self.connection);
                }
                Err(error)
            }
        }
    }
}

/// The options of the pool, asked anew each time: whoever rotates credentials sets them there.
fn options(pool: &PgPool, name: &str) -> Arc<PgConnectOptions> {
    let options = pool.connect_options();
    Arc::new(
        PgConnectOptions::clone(&options)
            .application_name(&format!("eventferry {name}"))
            .disable_statement_logging(),
    )
}

/// A connection without a relay's settings, for migrations.
pub(super) async fn connect_plain(pool: &PgPool, table: &TableName, name: &str) -> Result<PgConnection, StoreError> {
    let options = options(pool, name);
    let attempted = format!("connect to PostgreSQL at `{}:{}`", options.get_host(), options.get_port());
    PgConnection::connect_with(&options)
        .await
        .map_err(|error| store_error(&attempted, table, &error))
}

async fn connect(pool: &PgPool, table: &TableName, name: &str, settings: &SqlStr) -> Result<PgConnection, StoreError> {
    let mut connection = connect_plain(pool, table, name).await?;
    let found = connection
        .fetch_optional(sqlx::query(settings.clone()))
        .await
        .map_err(|error| store_error("prepare a session", table, &error))?;
    match found {
        Some(_) => Ok(connection),
        None => Err(lost_identity(table)),
    }
}
