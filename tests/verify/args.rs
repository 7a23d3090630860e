//! The command line.

use std::time::Duration;

use eventferry::testing::verify::Fault;

pub(crate) const HELP: &str = "\
Writes to an outbox from many transactions at once while relays, database, broker and the lines between them fail, and compares what
committed with what stands in the topic.

    verify [--seed N] [--seconds N] [--relays N] [--faults LIST] [-- RELAY OPTIONS]

    --seed N       plans the writers and the faults; printed; default: another one each time
    --seconds N    how long it goes on; default 60
    --relays N     relays in processes of their own; default 3
    --faults LIST  beginnings of names, with commas: `all` (default), `none`, `kill`, `stall-relays-broker-down`, `cut,freeze`;
                   the names: kill-relay freeze-relay step-clock restart-database kill-database restart-broker kill-broker
                   cut- slow- stall- before writers-database relays-database relays-broker, steal-lanes exhaust-connections
    -- OPTIONS     for each relay, such as --window 1000

Ends with 0 if every promise held, 1 if one did not, 2 if it could not be tried.";

#[derive(Debug)]
pub(crate) struct Args {
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
            seed: fastrand::u64(..1_000_000),
            length: Duration::from_mins(1),
            relays: 3,
            faults: Fault::ALL.to_vec(),
            relay_options: Vec::new(),
        };
        while let Some(option) = given.next() {
            let mut number = || {
                let value = given.next().ok_or_else(|| format!("{option} has no value"))?;
                value.parse::<u64>().map_err(|_| format!("`{value}` is not a number"))
            };
            match option.as_str() {
                "--seed" => args.seed = number()?,
                "--seconds" => args.length = Duration::from_secs(number()?),
                "--relays" => args.relays = u32::try_from(number()?).map_err(|_| "too many relays".to_owned())?,
                "--faults" => args.faults = faults(&given.next().ok_or("--faults has no value")?)?,
                "--" => args.relay_options = given.by_ref().collect(),
                "--help" | "-h" => return Ok(Parsed::Help),
                _ => return Err(format!("unknown option `{option}`")),
            }
        }
        Ok(Parsed::Run(args))
    }
}

fn faults(list: &str) -> Result<Vec<Fault>, String> {
    match list {
        "all" => return Ok(Fault::ALL.to_vec()),
        "none" => return Ok(Vec::new()),
        _ => {}
    }
    let mut faults = Vec::new();
    for prefix in list.split(',') {
        let named = Fault::named(prefix);
        if named.is_empty() || prefix.is_empty() {
            return Err(format!("no fault begins with `{prefix}`"));
        }
        faults.extend(named);
    }
    Ok(faults)
}
