//! Where a dead event goes, what is said of it there, and when its row says so.

use eventferry::outbox::{OnDead, Status};
use eventferry::publish::{PublishError, PublishErrorKind};
use eventferry::{IncomingMessage, Message, Topic};
use eventferry_tests::kafka::TestTopic;

use super::{Judging, first_arrivals, ids, none_waits, quick, row, until_status, with_a_large_one};
use crate::rig::{Process, Rig, soon};

/// Everything of the event stays; what killed it is told beside it, cut, and holds nothing of the event.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_says_what_it_was_and_why() {
    let Some(rig) = Rig::new(1, &[]).await else { return };
    let dlq = TestTopic::create(&rig.kafka, 3, &[]).await;
    let reason = "ä".repeat(3_000);
    let said = reason.clone();
    let publisher = Judging::new(&rig, move |message: &Message, _| {
        let bad = message.payload() == Some(b"SECRET-4111") && message.header("dlq-reason").is_none();
        bad.then(|| PublishError::new(PublishErrorKind::Retriable, said.clone()))
    });
    let mut bad = rig.record("a", 1);
    bad.payload = Some(b"SECRET-4111".to_vec());
    bad.key = Some("the-key".to_owned());
    bad.partition = Some(0);
    bad.headers.set("tenant-id", "7");
    let id = bad.message_id;
    rig.write(vec![rig.record("a", 0), bad, rig.record("a", 2)]).await;
    let relay = eventferry::relay::Relay::builder(rig.store(), publisher)
        .max_attempts(3)
        .retry(quick())
        .dead_letter_topic(&Topic::new(dlq.name()).unwrap())
        .build()
        .unwrap()
        .start()
        .await
        .unwrap();
    soon("all acks", relay.wait_for(|stats| stats.acked >= 2 && stats.dead == 1))
        .await
        .unwrap();
    relay.stop().await.unwrap();
    let (status, attempts, error) = row(&rig, id).await;
    assert_eq!(
        (status, attempts),
        (Status::Dead.code(), 3),
        "the attempt that was the last is counted"
    );
    assert!(
        error.as_ref().is_some_and(|error| error.len() <= 2_000 && error.starts_with("ää")),
        "{error:?}"
    );
    let log = dlq.log().await;
    assert_eq!(log.len(), 1);
    let letter = &log[0];
    let header = |name: &str| letter.text_header(name).unwrap_or_else(|| panic!("no header {name}"));
    assert_eq!(letter.payload.as_deref(), Some(&b"SECRET-4111"[..]));
    assert_eq!(letter.key.as_deref(), Some(&b"the-key"[..]));
    assert_eq!((header("message-id"), header("tenant-id")), (id.to_string().as_str(), "7"));
    assert_eq!(
        (header("event-type"), header("aggregate-id"), header("event-version")),
        ("Happened", "a", "1")
    );
    assert_eq!((header("dlq-original-topic"), header("dlq-attempts")), (rig.topic.name(), "3"));
    assert_eq!(header("dlq-error-class"), "retriable");
    assert!(header("dlq-failed-at").ends_with('Z'));
    assert_eq!(header("dlq-reason").len(), 1_000, "cut, and not within a character");
    for (name, value) in &letter.headers {
        let value = String::from_utf8_lossy(value.as_deref().unwrap_or_default()).into_owned();
        assert!(!value.contains("4111") && !value.contains("the-key"), "{name}");
    }
}

/// A dead letter that cannot be delivered: its row waits, and its successors wait with it.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_dead_letter_topic_is_missing_the_row_waits_and_none_passes_it() {
    for (on_dead, dead, arrived) in [(OnDead::Continue, Status::Dead, 19), (OnDead::Hold, Status::DeadHolding, 10)] {
        let Some(rig) = Rig::new(1, &[("max.message.bytes", "3000")]).await else {
            return;
        };
        rig.set_lease(1_500).await;
        let dlq = TestTopic::unborn(&rig.kafka);
        let (all, large) = with_a_large_one(&rig, "a", 20).await;
        let healthy = rig.write((0..20).map(|n| rig.record("b", n)).collect()).await;
        let relay = rig
            .relay()
            .max_attempts(1)
            .retry(quick())
            .on_dead(on_dead)
            .dead_letter_topic(&Topic::new(dlq.name()).unwrap())
            .build()
            .unwrap()
            .start()
            .await
            .unwrap();
        // Refused three times and more: the dead letter has been tried as often.
        soon("attempts", relay.wait_for(|stats| stats.acked >= 30 && stats.failed >= 3))
            .await
            .unwrap();
        let (status, _, error) = row(&rig, large).await;
        assert_eq!(status, Status::Failed.code());
        let error = error.unwrap();
        assert!(error.contains("dead-letter topic"), "{error}");
        let log = rig.topic.log().await;
        assert_eq!(first_arrivals(ids(&log, "a")), all[..10], "{on_dead:?}");
        assert_eq!(first_arrivals(ids(&log, "b")), healthy);
        dlq.be_born(1, &[]).await;
        until_status(&rig, large, dead).await;
        let letters = dlq.log().await;
        let letter = letters.first().unwrap();
        assert_eq!((letter.message_id(), letter.payload().map(<[u8]>::len)), (Some(large), Some(5_000)));
        assert_eq!(letter.text_header("dlq-error-class"), Some("rejected"));
        assert_eq!(letter.text_header("dlq-original-topic"), Some(rig.topic.name()));
        soon("the rest", relay.wait_for(|stats| stats.acked >= 20 + arrived as u64))
            .await
            .unwrap();
        let expected: Vec<_> = all.iter().copied().filter(|id| *id != large).take(arrived).collect();
        assert_eq!(first_arrivals(ids(&rig.topic.log().await, "a")), expected);
        relay.stop().await.unwrap();
    }
}

/// The relay is killed when the dead letter is delivered and its row does not say so yet: it is delivered once more, and none passes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_killed_between_the_dead_letter_and_its_row_delivers_it_again() {
    let Some(rig) = Rig::new(1, &[("max.message.bytes", "3000")]).await else {
        return;
    };
    rig.set_lease(1_500).await;
    let dlq = TestTopic::create(&rig.kafka, 1, &[]).await;
    let (all, large) = with_a_large_one(&rig, "a", 20).await;
    // Somebody's open transaction keeps the row from being marked.
    let mut open = rig.db.pool.begin().await.unwrap();
    sqlx::query("select from outbox where message_id = $1 for update")
        .bind(uuid::Uuid::from(large))
        .execute(&mut *open)
        .await
        .unwrap();
    let options = ["--max-attempts", "1", "--retry-ms", "50", "--dead-letter", dlq.name()];
    let first = Process::start_with(&rig, &options).await;
    soon("the dead letter", async { while dlq.log().await.is_empty() {} }).await;
    assert_eq!(row(&rig, large).await.0, Status::Pending.code(), "marked before its time");
    first.kill().await;
    // What it had asked of the server may outlive it.
    soon("the end of its sessions", async {
        let sessions =
            "select exists (select from pg_stat_activity where datname = current_database() and application_name like 'eventferry%')";
        while sqlx::query_scalar(sessions).fetch_one(&rig.db.pool).await.unwrap() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    open.rollback().await.unwrap();
    assert_eq!(row(&rig, large).await.0, Status::Pending.code());
    let second = Process::start_with(&rig, &options).await;
    until_status(&rig, large, Status::Dead).await;
    none_waits(&rig).await;
    second.stop().await;
    let letters: Vec<_> = dlq.log().await.iter().map(|letter| letter.message_id().unwrap()).collect();
    assert!(letters.len() >= 2 && letters.iter().all(|id| *id == large), "{letters:?}");
    let expected: Vec<_> = all.into_iter().filter(|id| *id != large).collect();
    assert_eq!(first_arrivals(ids(&rig.topic.log().await, "a")), expected);
}
