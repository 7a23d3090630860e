//! The examples print what their first lines promise.

mod errors;
mod operator;
mod output;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

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
    command.env("RUST_BACKTRACE", "0").output().expect("the program is there")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
