//! Brokers of a test's own: the helper itself.

use std::path::Path;

use eventferry::publish::Publisher;
use eventferry_tests::kafka::TestTopic;
use eventferry_tests::own_kafka::OwnKafka;

use super::{builder, event, within};

#[tokio::test]
async fn a_broker_of_ones_own_keeps_its_data_through_a_kill_and_leaves_nothing_behind() {
    let Some(kafka) = OwnKafka::builder().start().await else { return };
    let topic = TestTopic::create(&kafka.brokers(), 1, &[]).await;
    let publisher = builder(&kafka.brokers()).build().unwrap();
    within("a publish", publisher.publish(&event(topic.name(), "before")))
        .await
        .unwrap();
    kafka.kill(1).await;
    kafka.start_again(1).await;
    kafka.until_brokers(1).await;
    within("a publish", publisher.publish(&event(topic.name(), "after"))).await.unwrap();
    assert_eq!(topic.texts(0).await, ["before", "after"]);
    let folder = kafka.folder().to_owned();
    drop(topic);
    drop(kafka);
    assert!(!folder.exists());
    assert_eq!(processes_of(&folder), Vec::<String>::new());
}

/// The processes whose command line names a folder.
fn processes_of(folder: &Path) -> Vec<String> {
    let name = folder.to_string_lossy();
    let all = std::fs::read_dir("/proc").expect("Linux").flatten();
    let lines = all.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(&*name)).collect()
}
