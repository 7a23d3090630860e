//! `assert_schemas!` as whoever runs a service's tests meets it: in a process of its own, by its environment, its words and its status.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use crate::formats::{Folder, another, first};

const BOOK: &str = "EVENTFERRY_TESTS_BOOK";
const STATE: &str = "EVENTFERRY_TESTS_STATE";

/// The test of a service; which state of its code it is made of says the environment.
#[test]
#[ignore = "the tests below run it, each in a process of its own"]
fn of_a_service() {
    let folder = PathBuf::from(std::env::var_os(BOOK).expect("the folder of a book"));
    match std::env::var(STATE).as_deref() {
        Ok("first") => eventferry::assert_schemas!(first::ShopEvents, folder),
        Ok("another") => eventferry::assert_schemas!(another::ShopEvents, folder),
        other => panic!("`{other:?}` is no state of the code"),
    }
}

/// Runs the test above: whether it passed, and what it printed.
fn run(folder: &Folder, state: &str, environment: &[(&str, &str)]) -> (bool, String) {
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new(program)
        .args(["--exact", "process::of_a_service", "--ignored", "--nocapture"])
        .env_remove("CI")
        .env_remove("EVENTFERRY_SCHEMAS")
        .env_remove("RUST_BACKTRACE")
        .env(BOOK, &folder.0)
        .env(STATE, state)
        .envs(environment.iter().copied())
        .output()
        .expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(text.contains("running 1 test"), "{text}");
    (output.status.success(), text)
}

/// Every file of a book with what is in it.
fn files(folder: &Folder) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(entries) = std::fs::read_dir(folder.0.join("shop-event")) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.expect("a file").path());
    let mut files: Vec<_> = paths.map(|path| (path.clone(), std::fs::read(path).expect("readable"))).collect();
    files.sort();
    files
}

#[test]
fn a_book_is_begun_by_the_variable_and_compared_without_it() {
    let folder = Folder::new("process-begun");
    let (passed, text) = run(&folder, "first", &[]);
    assert!(!passed && text.contains("`OrderPlaced.v1.proto` is missing"), "{text}");
    assert!(
        text.contains("run the test with `EVENTFERRY_SCHEMAS=write` and commit what it writes"),
        "{text}"
    );
    // The line to look at is the user's.
    assert!(text.contains("contracts/process.rs:"), "{text}");
    assert_eq!(files(&folder), [], "comparing writes nothing");

    let (passed, text) = run(&folder, "first", &[("EVENTFERRY_SCHEMAS", "write")]);
    assert!(passed, "{text}");
    let written = files(&folder);
    let names: Vec<_> = written
        .iter()
        .filter_map(|(path, _)| path.file_name().and_then(OsStr::to_str))
        .collect();
    assert_eq!(
        names,
        [
            "OrderPlaced.v1.payload.hex",
            "OrderPlaced.v1.payload.least.hex",
            "OrderPlaced.v1.proto"
        ]
    );
    for environment in [
        &[][..],
        &[("EVENTFERRY_SCHEMAS", "")],
        &[("CI", "true")],
        &[("EVENTFERRY_SCHEMAS", "write")],
    ] {
        let (passed, text) = run(&folder, "first", environment);
        assert!(passed, "{environment:?}: {text}");
        assert_eq!(files(&folder), written, "{environment:?}");
    }
}

#[test]
fn a_change_that_is_not_compatible_fails_with_its_lines_and_is_not_written() {
    let folder = Folder::new("process-changed");
    assert!(run(&folder, "first", &[("EVENTFERRY_SCHEMAS", "write")]).0);
    let written = files(&folder);
    for environment in [&[][..], &[("EVENTFERRY_SCHEMAS", "write")]] {
        let (passed, text) = run(&folder, "another", environment);
        assert!(!passed, "{text}");
        for expected in [
            "-   int64 total_cents = 2;",
            "+   string total_cents = 2;",
            "`OrderPlaced` version 1 changed, and its version did not: the change is not compatible",
            "`/total_cents` type was int64, is string: what was written before is not read any more",
            "`version = 2, upcast_from = ..`",
        ] {
            assert!(text.contains(expected), "`{expected}` is not in\n{text}");
        }
        assert_eq!(files(&folder), written, "{environment:?}");
    }
}

#[test]
fn nothing_is_written_in_a_pipeline_or_for_a_value_that_is_not_known() {
    let folder = Folder::new("process-pipeline");
    for (environment, said) in [
        (
            &[("EVENTFERRY_SCHEMAS", "write"), ("CI", "1")][..],
            "`EVENTFERRY_SCHEMAS=write` is set where `CI` is",
        ),
        (
            &[("EVENTFERRY_SCHEMAS", "write"), ("CI", "true")],
            "`EVENTFERRY_SCHEMAS=write` is set where `CI` is",
        ),
        (
            &[("EVENTFERRY_SCHEMAS", "wirte")],
            "`EVENTFERRY_SCHEMAS` has a value that is not known",
        ),
        (
            &[("EVENTFERRY_SCHEMAS", "wirte"), ("CI", "1")],
            "`EVENTFERRY_SCHEMAS` has a value that is not known",
        ),
    ] {
        let (passed, text) = run(&folder, "first", environment);
        assert!(!passed && text.contains(said), "{environment:?}: {text}");
        assert_eq!(files(&folder), [], "{environment:?}");
    }
}
