//! The files under `schemas/` are what the code prints, and the documents say what the code does.

#[cfg(feature = "contracts")]
mod documents;
#[cfg(all(feature = "contracts", feature = "avro", feature = "protobuf"))]
mod formats;
#[cfg(all(feature = "contracts", feature = "avro", feature = "protobuf"))]
mod mixed;
#[cfg(all(feature = "contracts", feature = "avro", feature = "protobuf"))]
mod process;
mod sql;
mod states;

use std::path::PathBuf;

/// A file of the project.
fn project_file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The committed file holds what the code prints; with `EVENTFERRY_UPDATE=1` it is written instead.
#[cfg_attr(
    not(any(feature = "contracts", feature = "sqlite", feature = "postgres")),
    expect(dead_code, reason = "without one of these nothing is printed")
)]
fn assert_committed(path: &str, printed: &str) {
    let file = project_file(path);
    if std::env::var_os("EVENTFERRY_UPDATE").is_some_and(|value| value == "1") {
        std::fs::create_dir_all(file.parent().expect("a file is in a folder")).expect("the folder can be made");
        std::fs::write(&file, printed).expect("the file can be written");
        return;
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    let first_change = committed.lines().zip(printed.lines()).position(|(was, is)| was != is);
    assert!(
        committed == printed,
        "`{path}` is not what the code prints (first change near line {}); if the change is meant, run with EVENTFERRY_UPDATE=1 and commit it",
        first_change.unwrap_or(committed.lines().count().min(printed.lines().count())) + 1
    );
}
