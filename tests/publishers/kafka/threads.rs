//! What a publisher leaves behind in its process. Each test runs in a process of its own, where nobody else's threads are counted.

use std::fmt::Debug;
use std::fs;
use std::process::Command;
use std::time::Duration;

use eventferry::publish::{Pipelined, Publisher};
use eventferry_tests::kafka::{PATIENCE, TestTopic};
use eventferry_tests::servers;

use super::{Reported, SEAT, builder, event, open, within};

const ALONE: &str = "EVENTFERRY_TEST_ALONE";

/// Runs the test of this name alone, in a process of its own, and returns what it wrote to stderr; `None` inside that process.
fn alone(test: &str) -> Option<String> {
    if std::env::var_os(ALONE).is_some() {
        return None;
    }
    let me = std::env::current_exe().expect("this test is a program");
    let output = Command::new(me)
        .args(["--exact", &format!("kafka::threads::{test}"), "--nocapture"])
        .env(ALONE, "1")
        .output();
    let output = output.expect("a program can run itself");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}{stderr}", String::from_utf8_lossy(&output.stdout));
    Some(stderr)
}

/// The names of the threads that belong to Kafka clients.
fn client_threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux");
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    let mut names: Vec<String> = names
        .map(|name| name.trim().to_owned())
        .filter(|name| name.starts_with("rdk:") || name.starts_with("producer poll") || name.starts_with("eventferry"))
        .collect();
    names.sort_unstable();
    names
}

/// Waits for the kernel to forget threads that have ended: it wakes whoever joins them a moment before.
async fn until_threads_are(wanted: &[String]) {
    until_threads(wanted, |names| names == wanted).await;
}

/// Answers the names that are right.
async fn until_threads(wanted: impl Debug, right: impl Fn(&[String]) -> bool) -> Vec<String> {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let found = async {
        loop {
            ticks.tick().await;
            let names = client_threads();
            if right(&names) {
                return names;
            }
        }
    };
    tokio::time::timeout(PATIENCE, found)
        .await
        .unwrap_or_else(|_| panic!("{:?} instead of {wanted:?}", client_threads()))
}

#[test]
fn a_closed_session_leaves_no_thread_and_a_dropped_publisher_none_either() {
    if servers::require("kafka").is_none() || alone("a_closed_session_leaves_no_thread_and_a_dropped_publisher_none_either").is_some() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let brokers = servers::require("kafka").unwrap();
        let topic = TestTopic::create(&brokers, 1, &[]).await;
        let publisher = builder(&brokers).build().unwrap();
        within("a publish", publisher.publish(&event(topic.name(), "1"))).await.unwrap();
        // The one that looks at the clock stays; each question has one that ends a moment after its answer.
        let ours = |names: &[String]| names.iter().filter(|name| name.starts_with("eventferry")).count();
        let before = until_threads("one of ours", |names| ours(names) == 1).await;
        for _ in 0..3 {
            let mut session = open(&publisher).await;
            let mut reported = Reported::default();
            for token in 0..100 {
                session.hand_over(token, 0, event(topic.name(), "1")).unwrap();
            }
            reported.until("some deliveries", session.as_mut(), |r| r.0.len() >= 10).await;
            assert!(client_threads().len() > before.len());
            reported.close(session).await;
            until_threads_are(&before).await;
        }
        // Neither a publisher nor a session that is dropped holds up its user; their threads end soon after.
        drop(within("a session", publisher.open(SEAT)).await.unwrap());
        drop(publisher);
        until_threads_are(&[]).await;
    });
}

#[test]
fn librdkafkas_log_lines_stay_off_stderr() {
    let Some(stderr) = alone("librdkafkas_log_lines_stay_off_stderr") else {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let publisher = builder("127.77.77.77:9")
                .publish_deadline(Duration::from_secs(1))
                .set("debug", "all")
                .build()
                .unwrap();
            assert!(within("a publish", publisher.publish(&event("orders", "1"))).await.is_err());
            let session = open(&publisher).await;
            session.close().await;
        });
        return;
    };
    assert!(
        !stderr.contains("rdkafka") && !stderr.contains("127.77.77.77"),
        "librdkafka wrote to stderr:\n{stderr}"
    );
}
