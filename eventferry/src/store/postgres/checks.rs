//! What a relay checks before it carries anything: settings under which a promise cannot hold are refused, with the command that mends them.

use std::time::Duration;

use crate::event::TableName;
use crate::outbox::LANES;
use crate::store::postgres::PostgresStore;
use crate::store::postgres::error::{lost_identity, undecodable};
use crate::store::postgres::migrate::VERSION;
use crate::store::postgres::row::Columns;
use crate::store::{Opened, RelayId, StoreError, StoreErrorKind};

/// What `check.sql` found.
#[derive(Debug, Clone)]
struct Facts {
    version: i32,
    lease: Duration,
    outbox: String,
    standby: bool,
    lanes: i64,
    sequence: Option<Sequence>,
    /// Settings that are off and should not be.
    off: Vec<&'static str>,
}

#[derive(Debug, Clone)]
struct Sequence {
    name: String,
    cache: i64,
    increment: i64,
    cycle: bool,
}

impl PostgresStore {
    pub(super) async fn open_outbox(&self, relay: RelayId) -> Result<Opened, StoreError> {
        let mut session = self.enter(&self.leasing).await?;
        let answer = sqlx::query(self.sql.check.clone()).fetch_optional(session.connection()).await;
        let row = session
            .finish("check the outbox", &self.table, answer)?
            .ok_or_else(|| lost_identity(&self.table))?;
        let facts = Facts::of(Columns(&row))?;
        facts.refuse(&self.table)?;
        let mut session = self.enter(&self.leasing).await?;
        let answer = sqlx::query(self.sql.register.clone())
            .bind(relay.as_uuid())
            .bind(env!("CARGO_PKG_VERSION"))
            .execute(session.connection())
            .await;
        session.finish("register a relay", &self.table, answer)?;
        let mut opened = Opened::new(facts.lease, facts.outbox.clone());
        opened.warnings = facts.warnings();
        Ok(opened)
    }
}

impl Facts {
    fn of(columns: Columns<'_>) -> Result<Self, StoreError> {
        let sequence = match columns.maybe_text(4)? {
            None => None,
            Some(name) => Some(Sequence {
                name: name.to_owned(),
                cache: columns.i64(5)?,
                increment: columns.i64(6)?,
                cycle: columns.bool(7)?,
            }),
        };
        let mut off = Vec::new();
        for (column, setting) in (8..).zip(["fsync", "full_page_writes", "synchronous_commit"]) {
            if columns.text(column)? == "off" {
                off.push(setting);
            }
        }
        Ok(Self {
            version: columns.i32(0)?,
            lease: Duration::from_millis(u64::try_from(columns.i32(1)?).map_err(|_| undecodable(1))?),
            outbox: columns.text(11)?.to_owned(),
            standby: columns.bool(2)?,
            lanes: columns.i64(3)?,
            sequence,
            off,
        })
    }

    /// The first reason not to start.
    fn refuse(&self, table: &TableName) -> Result<(), StoreError> {
        let refusal = if self.version < VERSION {
            format!(
                "the outbox `{table}` has schema version {}, this eventferry needs {VERSION}; run `PostgresStore::migrate`",
                self.version
            )
        } else if self.version > VERSION {
            format!(
                "the outbox `{table}` has schema version {}, and this eventferry knows up to {VERSION}; upgrade eventferry",
                self.version
            )
        } else if self.standby {
            "this server is a standby, where nothing can be acked; connect to the primary (target_session_attrs=read-write)".to_owned()
        } else if self.lanes != i64::from(LANES) {
            format!(
                "`{table}_lane` has {} rows instead of {LANES}, so some events would never be carried; run \
                 INSERT INTO {table}_lane (lane) SELECT generate_series(0, {}) ON CONFLICT DO NOTHING",
                self.lanes,
                LANES - 1
            )
        } else {
            match &self.sequence {
                None => format!("the column `id` of `{table}` has no sequence of its own; compare the table with `PostgresStore::sql`"),
                Some(sequence) => match sequence.problem() {
                    None => return Ok(()),
                    Some((problem, mend)) => format!(
                        "{problem}, so ids would not follow the order of commits; run ALTER SEQUENCE {} {mend}",
                        sequence.name
                    ),
                },
            }
        };
        Err(StoreError::new(StoreErrorKind::Misconfigured, refusal))
    }

    fn warnings(&self) -> Vec<String> {
        let warning = |setting: &&str| format!("{setting} is off: a crash of the database server can lose events that were committed");
        self.off.iter().map(warning).collect()
    }
}

impl Sequence {
    /// What is wrong with it, and the clause that mends it.
    fn problem(&self) -> Option<(String, &'static str)> {
        let name = &self.name;
        if self.cache != 1 {
            Some((format!("the sequence `{name}` has CACHE {}", self.cache), "CACHE 1"))
        } else if self.increment != 1 {
            Some((format!("the sequence `{name}` has INCREMENT {}", self.increment), "INCREMENT BY 1"))
        } else if self.cycle {
            Some((format!("the sequence `{name}` has CYCLE"), "NO CYCLE"))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Facts {
        Facts {
            outbox: String::new(),
            version: VERSION,
            lease: Duration::from_secs(15),
            standby: false,
            lanes: 64,
            sequence: Some(Sequence {
                name: "outbox_id_seq".to_owned(),
                cache: 1,
                increment: 1,
                cycle: false,
            }),
            off: Vec::new(),
        }
    }

    fn refusal(change: impl FnOnce(&mut Facts)) -> String {
        let mut facts = sound();
        change(&mut facts);
        let error = facts.refuse(&TableName::default()).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
        error.to_string()
    }

    #[test]
    fn a_sound_outbox_is_opened_without_a_word() {
        assert!(sound().refuse(&TableName::default()).is_ok());
        assert!(sound().warnings().is_empty());
    }

    #[test]
    fn every_refusal_names_the_command_that_mends_it() {
        assert!(refusal(|f| f.version = 0).contains("run `PostgresStore::migrate`"));
        assert!(refusal(|f| f.version = VERSION + 1).contains("upgrade eventferry"));
        assert!(refusal(|f| f.standby = true).contains("connect to the primary"));
        assert!(refusal(|f| f.lanes = 63).contains("INSERT INTO outbox_lane"));
        assert!(refusal(|f| f.sequence = None).contains("PostgresStore::sql"));
        let sequence = |change: fn(&mut Sequence)| refusal(|f| change(f.sequence.as_mut().unwrap()));
        assert!(sequence(|s| s.cache = 20).contains("ALTER SEQUENCE outbox_id_seq CACHE 1"));
        assert!(sequence(|s| s.increment = 2).contains("ALTER SEQUENCE outbox_id_seq INCREMENT BY 1"));
        assert!(sequence(|s| s.cycle = true).contains("ALTER SEQUENCE outbox_id_seq NO CYCLE"));
    }

    #[test]
    fn settings_that_rest_on_luck_are_warned_of() {
        let mut facts = sound();
        facts.off = vec!["fsync", "synchronous_commit"];
        assert_eq!(facts.warnings().len(), 2);
        assert!(facts.warnings()[1].starts_with("synchronous_commit is off"));
    }
}
