//! What the examples print.

use std::process::Command;

use eventferry_tests::servers;

use crate::{example, programs, root, run, text};

/// The block that follows the word "prints" in the first lines of an example.
fn promised(file: &str) -> String {
    let source = std::fs::read_to_string(root().join("examples").join(file)).expect("the example can be read");
    let lines = source
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line));
    let block: Vec<_> = lines
        .skip_while(|line| *line != "```text")
        .skip(1)
        .take_while(|line| *line != "```")
        .collect();
    assert!(!block.is_empty(), "{file} does not say what it prints");
    block.join("\n") + "\n"
}

fn prints_what_it_promises(name: &str) {
    let output = example(name, &[], &[]);
    assert!(output.status.success(), "{name}: {}\n{}", output.status, text(&output.stderr));
    assert_eq!(text(&output.stdout), promised(&format!("{name}.rs")), "{}", text(&output.stderr));
}

#[test]
fn quickstart() {
    prints_what_it_promises("quickstart");
}

#[test]
fn custom_publisher() {
    prints_what_it_promises("custom_publisher");
}

#[test]
fn consume_and_dedupe() {
    prints_what_it_promises("consume_and_dedupe");
}

#[test]
fn in_process() {
    prints_what_it_promises("in_process");
}

#[test]
fn graceful_shutdown() {
    prints_what_it_promises("graceful_shutdown");
}

#[test]
fn postgres_to_kafka() {
    if servers::require("postgres").is_some() && servers::require("kafka").is_some() {
        prints_what_it_promises("postgres_to_kafka");
    }
}

#[test]
fn formats() {
    if ["postgres", "kafka", "schema-registry"]
        .iter()
        .all(|server| servers::require(server).is_some())
    {
        prints_what_it_promises("formats");
    }
}

#[test]
fn shop() {
    if servers::require("postgres").is_none() || servers::require("kafka").is_none() {
        return;
    }
    for (program, says) in [
        ("shop-producer", "100 orders placed, 150 events sent\n"),
        ("shop-consumer", "100 orders over 50500 cents, 50 of them paid\n"),
    ] {
        let output = run(Command::new(programs().join(program)).arg("100"), &[]);
        assert!(output.status.success(), "{program}: {}", text(&output.stderr));
        assert_eq!(text(&output.stdout), says, "{program}");
    }
}

/// A short history; the long one is a command in the first lines of the example.
#[test]
fn git_history() {
    if servers::require("postgres").is_none() || servers::require("kafka").is_none() {
        return;
    }
    let repository = std::env::temp_dir().join(format!("eventferry-history-{}", std::process::id()));
    let repository = repository.to_str().expect("the temporary folder has a plain name");
    let generated = run(
        Command::new(root().join("tests/git_history/generate")).args([repository, "700"]),
        &[],
    );
    assert!(generated.status.success(), "{}", text(&generated.stderr));
    let output = example("git_history", &[repository], &[]);
    std::fs::remove_dir_all(repository).expect("the repository can be removed");
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{printed}{}", text(&output.stderr));
    for line in ["history     700 commits", "order       0 violations", "contents    0 differences"] {
        assert!(printed.contains(line), "no `{line}` in\n{printed}");
    }
}
