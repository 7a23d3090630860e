//! Which module may use which, and what stays out of a build without features.

mod docs;
mod features;
mod paths;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The direction of the library: a module, and the modules it may name. `clock`, `error` and `mutant` are free to all, `lib.rs` and what macros expand
/// to (`__private`) may name everything, and so may tests.
const DIRECTION: &[(&str, &[&str])] = &[
    ("event", &[]),
    ("outbox", &["event"]),
    ("schema", &["event"]),
    ("codec", &["event", "schema"]),
    ("store", &["event", "outbox", "schema"]),
    ("publish", &["event", "outbox", "schema"]),
    ("registry", &["event", "outbox", "schema", "codec", "store"]),
    ("consume", &["event", "schema", "codec", "registry", "store", "publish"]),
    ("relay", &["event", "outbox", "store", "publish"]),
    (
        "testing",
        &[
            "event", "outbox", "schema", "codec", "store", "publish", "registry", "consume", "relay",
        ],
    ),
];

const FREE: &[&str] = &["clock", "error", "mutant"];

/// The backends of each seam. Outside their own folder only the suites of `testing` name one.
const BACKENDS: &[(&str, &[&str])] = &[
    ("store", &["memory", "postgres", "sqlite"]),
    ("publish", &["memory", "kafka"]),
    ("schema", &["memory", "confluent"]),
];

/// What is wrong with one file of the library: `path` below `src`, `text` its source, `facade` what `lib.rs` re-exports from where.
fn violations(path: &Path, text: &str, facade: &BTreeMap<String, String>) -> Vec<String> {
    let parts: Vec<String> = path
        .with_extension("")
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    let (module, within) = (parts[0].as_str(), parts.get(1).map_or("", String::as_str));
    if ["lib", "__private"].contains(&module) {
        return Vec::new();
    }
    let allowed: &[&str] = if FREE.contains(&module) {
        &[]
    } else {
        match DIRECTION.iter().find(|(name, _)| *name == module) {
            Some((_, allowed)) => allowed,
            None => return vec![format!("`{module}` has no row in the table of directions")],
        }
    };

    let code = paths::code_without_tests(text);
    let mut found = Vec::new();
    let at_root = within.is_empty() || within == "mod";
    for used in paths::used("super", &code) {
        if used[0] == "super" || (at_root && used[0] != "*") {
            found.push(format!(
                "`{module}` must name other modules by `crate::`, not by `super::{}`",
                used.join("::")
            ));
        }
    }
    for used in paths::used("crate", &code) {
        let target = facade.get(&used[0]).map_or(used[0].as_str(), String::as_str);
        if target == module || FREE.contains(&target) {
        } else if allowed.contains(&target) {
            let backend = BACKENDS.iter().any(|(seam, names)| {
                *seam == target && used[0] == target && used.get(1).is_some_and(|name| names.contains(&name.as_str()))
            });
            if backend && module != "testing" {
                found.push(format!(
                    "`{module}` must not use `{}`, which is one backend of many",
                    used[..2].join("::")
                ));
            }
        } else {
            found.push(format!("`{module}` must not use `{target}`"));
        }
        let sibling = BACKENDS.iter().any(|(seam, names)| {
            *seam == module
                && *seam == target
                && names.contains(&within)
                && used.get(1).is_some_and(|name| names.contains(&name.as_str()) && name != within)
        });
        if sibling {
            found.push(format!("`{module}::{within}` must not use its sibling `{}`", used[1]));
        }
    }
    found
}

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../eventferry/src")
}

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder of sources can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            // The command line tool is a program of its own over the public interface.
            if path.file_name().is_some_and(|name| name != "bin") {
                rust_files(&path, into);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

#[test]
fn modules_use_only_what_they_may() {
    let source = source_folder();
    let read = |path: &Path| std::fs::read_to_string(path).expect("a source file can be read");
    let facade = paths::re_exports(&read(&source.join("lib.rs")));
    assert!(facade.len() > 5, "the re-exports of lib.rs were not understood: {facade:?}");
    let mut files = Vec::new();
    rust_files(&source, &mut files);
    assert!(files.len() > 20, "only {} source files were found", files.len());
    let tests: Vec<_> = files.iter().flat_map(|file| paths::test_modules(file, &read(file))).collect();
    let mut found = Vec::new();
    for file in files
        .iter()
        .filter(|file| !tests.iter().any(|test| file.with_extension("").starts_with(test)))
    {
        let path = file.strip_prefix(&source).expect("it was found below that folder");
        for violation in violations(path, &read(file), &facade) {
            found.push(format!("{}: {violation}", path.display()));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The crates that `cargo tree` shows for a package.
fn tree(arguments: &[&str]) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
            "--locked",
            "--offline",
        ])
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn without_features_there_is_no_runtime_database_or_broker() {
    let crates = tree(&["-p", "eventferry", "--no-default-features"]);
    assert!(crates.contains(&"eventferry".to_owned()), "{crates:?}");
    for absent in ["tokio", "sqlx", "sqlx-core", "rdkafka", "rdkafka-sys", "jsonschema", "serde_json"] {
        assert!(!crates.contains(&absent.to_owned()), "`{absent}` is in the tree without features");
    }
}

/// A table of promises is worth what its tests are: each one that the README names must be there.
#[test]
fn the_tests_that_the_readme_names_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for folder in [
        "tests/stores",
        "tests/publishers",
        "tests/relay",
        "tests/ui",
        "tests/derive",
        "tests/examples",
        "tests/architecture",
        "eventferry/src",
    ] {
        rust_files(&root.join(folder), &mut files);
    }
    let sources: String = files.iter().filter_map(|file| std::fs::read_to_string(file).ok()).collect();
    let readme = std::fs::read_to_string(root.join("README.md")).expect("the README can be read");
    let promises = readme
        .lines()
        .skip_while(|line| *line != "| promise | test |")
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let mut named = 0;
    for test in promises.flat_map(|line| line.rsplit_once("| `").map_or("", |(_, tests)| tests).split([' ', '`', ',', '|'])) {
        if !test.is_empty() {
            named += 1;
            assert!(
                sources.contains(&format!("fn {test}(")),
                "the README names the test `{test}`, which does not exist"
            );
        }
    }
    assert!(named > 5, "the table of promises was not understood");
}

#[test]
fn the_guard_sees_a_wrong_direction() {
    let facade = paths::re_exports("pub use store::{Receipt, Store};\npub use event::Topic;\npub use outbox::order_key;");
    let check = |path: &str, text: &str| violations(Path::new(path), text, &facade);

    assert_eq!(
        check("store/postgres/mod.rs", "use crate::relay::Relay;"),
        ["`store` must not use `relay`"]
    );
    assert_eq!(
        check("publish/kafka/mod.rs", "use crate::Receipt;"),
        ["`publish` must not use `store`"]
    );
    assert_eq!(
        check(
            "codec/json.rs",
            "use crate::{event::{Topic, Headers}, registry::Outbox as O, publish};"
        ),
        ["`codec` must not use `registry`", "`codec` must not use `publish`"]
    );
    assert_eq!(
        check("event/names.rs", "fn f() -> crate::order_key::X {}"),
        ["`event` must not use `outbox`"]
    );
    assert_eq!(
        check("store/sqlite/read.rs", "use crate::store::postgres::Rows;"),
        ["`store::sqlite` must not use its sibling `postgres`"]
    );
    assert_eq!(
        check("relay/read.rs", "use crate::store::memory::MemoryStore;"),
        ["`relay` must not use `store::memory`, which is one backend of many"]
    );
    assert_eq!(check("outbox/mod.rs", "use super::store::Store;").len(), 1);
    assert_eq!(check("store/postgres/read.rs", "use super::super::Store;").len(), 1);
    assert_eq!(check("utils/mod.rs", ""), ["`utils` has no row in the table of directions"]);

    // Files of tests are named by the file that includes them.
    assert_eq!(
        paths::test_modules(
            Path::new("relay/core/mod.rs"),
            "mod a;\n#[cfg(test)]\nmod sim;\n#[cfg(test)]\nmod tests {\n}"
        ),
        [Path::new("relay/core/sim")]
    );
    assert_eq!(
        paths::test_modules(Path::new("relay/core.rs"), "#[cfg(test)]\nmod tests;"),
        [Path::new("relay/core/tests")]
    );

    // What is allowed, and what only looks like a use.
    for (path, text) in [
        (
            "store/mod.rs",
            "use crate::event::Topic; use crate::store::Receipt; use crate::clock::now; use crate::order_key;",
        ),
        (
            "relay/mod.rs",
            "/// See `crate::registry::X`.\nconst T: &str = \"crate::codec\"; // crate::codec\n/* crate::codec */ struct A<'a>(&'a str);",
        ),
        (
            "relay/mod.rs",
            "fn f() {}\n#[cfg(test)]\nmod tests {\n    use super::f;\n    use crate::registry::Outbox;\n}",
        ),
        (
            "testing/mod.rs",
            "use crate::store::memory::MemoryStore; $crate::conformance_store!(memory);",
        ),
        (
            "store/postgres/read.rs",
            "use super::rows::Row; let c = '\"'; let d = r#\"crate::relay\"#;",
        ),
    ] {
        assert_eq!(check(path, text), [""; 0], "{path}");
    }
}
