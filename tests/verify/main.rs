//! Verifies the whole line by hand: writers, a PostgreSQL or an SQLite file and a Kafka of its own, relays in processes of their own, and faults by seed.
//!
//! `cargo run -p eventferry-tests --all-features --bin verify -- --help`; `docs/verify.md` says how to read what it prints. `tests/run`
//! fetches Kafka once; neither of its servers is used.

mod args;

use std::io::Write;
use std::process::ExitCode;

use eventferry_tests::verify::Verification;

use crate::args::{Args, Parsed};

#[tokio::main]
async fn main() -> ExitCode {
    let mut out = std::io::stdout();
    let mut say = |text: &str| drop(writeln!(out, "{text}").and_then(|()| out.flush()));
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(Parsed::Run(args)) => args,
        Ok(Parsed::Help) => {
            say(args::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            say(&format!("verify: {error}; see --help"));
            return ExitCode::from(2);
        }
    };
    let Ok(own) = std::env::current_exe() else {
        say("verify: cannot find its own program, beside which `relay-process` is");
        return ExitCode::from(2);
    };
    let verification = Verification::new(args.seed, args.length, own.with_file_name("relay-process"))
        .database(args.database)
        .faults(&args.faults)
        .relays(args.relays)
        .relay_options(&args.relay_options.iter().map(String::as_str).collect::<Vec<_>>());
    let Some(outcome) = verification.run(&mut say).await else {
        return ExitCode::from(2);
    };
    say(&format!("\nseed {}\n{outcome}", args.seed));
    if outcome.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
