//! The examples print what their first lines promise.

mod errors;
mod operator;
mod output;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// No program takes this long.
const LIMIT: Duration = Duration::from_mins(5);

/// The folder of the examples' programs, built the way the rest of the workspace is, so that nothing is built twice.
fn programs() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let status = Command::new(env!("CARGO"))
            .args([
                "build",
                "--quiet",
                "--workspace",
                "--all-features",
                "--examples",
                "--bins",
                "--locked",
            ])
            .current_dir(root())
            .status()
            .expect("cargo runs");
        assert!(status.success(), "the examples were not built");
        let test = std::env::current_exe().expect("this program has a path");
        test.parent().and_then(Path::parent).expect("it lies in `deps`").to_owned()
    })
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs an example, with addresses in place of those of the environment.
fn example(name: &str, arguments: &[&str], addresses: &[(&str, &str)]) -> Output {
    let mut command = Command::new(programs().join("examples").join(name));
    command.args(arguments);
    run(&mut command, addresses)
}

fn run(command: &mut Command, addresses: &[(&str, &str)]) -> Output {
    for (variable, value) in addresses {
        command.env(variable, value);
    }
    // Its own panics are judged by their text.
    command.env("RUST_BACKTRACE", "0");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program is there");
    let until = Instant::now() + LIMIT;
    let pipes = [
        read(child.stdout.take().expect("it is piped")),
        read(child.stderr.take().expect("it is piped")),
    ];
    let [stdout, stderr] = pipes.map(|pipe| {
        let all = pipe.recv_timeout(until.saturating_duration_since(Instant::now()));
        all.unwrap_or_else(|_| {
            child.kill().expect("it can be ended");
            panic!("{} took longer than {LIMIT:?}", command.get_program().display())
        })
    });
    let status = child.wait().expect("it has ended");
    Output { status, stdout, stderr }
}

/// Reads a pipe to its end, beside this thread.
fn read(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (all, read) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        // Nobody waits for it any more where the program took too long.
        drop(all.send(bytes));
    });
    read
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
