//! What the examples share: how a program ends. See `README.md` beside this file for their index.

#[cfg(all(feature = "postgres", feature = "kafka"))]
pub mod sandbox;

use std::error::Error;
use std::process::ExitCode;

/// How an example ends: an error is printed with all its causes, one to a line, and no debug output.
///
/// The texts of eventferry's errors do not repeat their causes, so whoever reports one prints the chain.
#[expect(clippy::print_stderr, reason = "the last words of a command line program")]
pub fn exit(result: Result<(), Box<dyn Error>>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    eprintln!("error: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
    ExitCode::FAILURE
}

/// The address of a server, out of the environment.
///
/// # Errors
/// A text that names the variable and the command that sets it.
pub fn address(variable: &str) -> Result<String, Box<dyn Error>> {
    let missing = || format!("{variable} is not set: start this with `tests/run -- COMMAND`, which starts the servers");
    let address = std::env::var(variable).ok().filter(|address| !address.is_empty());
    address.ok_or_else(|| missing().into())
}
