//! The command line.

use std::time::Duration;

use eventferry::testing::verify::{Database, Fault};

pub(crate) const HELP: &str = "\
Writes to an outbox from many transactions at once while relays, database, broker and the lines between them fail, and compares what
committed with what stands in the topic.

    verify [--store postgres|sqlite] [--seed N] [--seconds N] [--relays N] [--faults LIST] [-- RELAY OPTIONS]

    --store NAME   where the outbox is: `postgres` (default), on a server of its own; `sqlite`, in one file that the writers and every
                   relay open by themselves
    --seed N       plans the writers and the faults; printed; default: another one each time
    --seconds N    how long it goes on; default 60
    --relays N     relays in processes of their own; default 3
    --faults LIST  beginnings of names, with commas: `all` (default), `none`, `kill`, `stall-relays-broker-down`, `cut,freeze`;
                   the names: kill-relay freeze-relay step-clock restart-broker kill-broker steal-lanes
                   cut-relays-broker slow-relays-broker stall-relays-broker-{up,down,both};
                   with a server besides: restart-database kill-database exhaust-connections and cut- slow- stall- before
                   writers-database relays-database; with a file besides: hold-file. A file has no process to end, no line to cut
                   and no connections to use up: those faults are left out.
    -- OPTIONS     for each relay, such as --window 1000

Ends with 0 if every promise held, 1 if one did not, 2 if it could not be tried.";

#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) database: Database,
    pub(crate) seed: u64,
    pub(crate) length: Duration,
    pub(crate) relays: u32,
    pub(crate) faults: Vec<Fault>,
    pub(crate) relay_options: Vec<String>,
}

#[derive(Debug)]
pub(crate) enum Parsed {
    Run(Args),
    Help,
}

impl Args {
    pub(crate) fn parse(mut given: impl Iterator<Item = String>) -> Result<Parsed, String> {
        let mut args = Self {
            database: Database::Server,
            seed: fastrand::u64(..1_000_000),
            length: Duration::from_mins(1),
            relays: 3,
            faults: Vec::new(),
            relay_options: Vec::new(),
        };
        let mut list = "all".to_owned();
        while let Some(option) = given.next() {
            let mut number = || {
                let value = given.next().ok_or_else(|| format!("{option} has no value"))?;
                value.parse::<u64>().map_err(|_| format!("`{value}` is not a number"))
            };
            match option.as_str() {
                "--seed" => args.seed = number()?,
                "--seconds" => args.length = Duration::from_secs(number()?),
                "--relays" => args.relays = u32::try_from(number()?).map_err(|_| "too many relays".to_owned())?,
                "--faults" => list = given.next().ok_or("--faults has no value")?,
                "--store" => args.database = database(&given.next().ok_or("--store has no value")?)?,
                "--" => args.relay_options = given.by_ref().collect(),
                "--help" | "-h" => return Ok(Parsed::Help),
                _ => return Err(format!("unknown option `{option}`")),
            }
        }
        args.faults = faults(&list, args.database)?;
        Ok(Parsed::Run(args))
    }
}

fn database(name: &str) -> Result<Database, String> {
    match name {
        "postgres" => Ok(Database::Server),
        "sqlite" => Ok(Database::File),
        _ => Err(format!("no store is called `{name}`")),
    }
}

fn faults(list: &str, database: Database) -> Result<Vec<Fault>, String> {
    let possible = Fault::of(database);
    match list {
        "all" => return Ok(possible),
        "none" => return Ok(Vec::new()),
        _ => {}
    }
    let mut faults = Vec::new();
    for prefix in list.split(',') {
        let mut named = Fault::named(prefix);
        if named.is_empty() || prefix.is_empty() {
            return Err(format!("no fault begins with `{prefix}`"));
        }
        named.retain(|fault| possible.contains(fault));
        if named.is_empty() {
            return Err(format!("`{prefix}` cannot befall this store"));
        }
        faults.extend(named);
    }
    Ok(faults)
}
