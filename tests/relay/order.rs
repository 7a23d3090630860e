//! Commit order, end to end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use eventferry::{IncomingMessage, MessageId, OpenTransaction, TableName};

use crate::rig::{Comparison, Ledger, Process, Rig, soon};

#[tokio::test(flavor = "multi_thread")]
async fn what_commits_is_delivered_in_order_and_what_rolls_back_is_not() {
    let Some(rig) = Rig::new(3, &[]).await else { return };
    let relay = rig.start().await;
    let ledger = rig.fill(3_000, 40).await;
    let mut tx = rig.db.pool.begin().await.unwrap();
    tx.insert(&TableName::default(), vec![rig.record("a1", 999)]).await.unwrap();
    tx.rollback().await.unwrap();
    soon("3,000 acks", relay.wait_for(|stats| stats.acked >= 3_000)).await.unwrap();
    assert_eq!(rig.compare(&ledger).await, Comparison::CLEAN);
    let stats = relay.stop().await.unwrap();
    assert_eq!((stats.strays, stats.known, stats.failed, stats.dead), (0, 0, 0, 0), "{stats:?}");
    assert_eq!(rig.count(2).await, 3_000);
}

/// Writers that overlap on shared aggregates; a counter row bumped after the enqueue says in which order they committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn overlapping_writers_are_delivered_in_the_order_of_their_commits() {
    let Some(rig) = Rig::new(4, &[]).await else { return };
    let rig = Arc::new(rig);
    let relay = rig.start().await;
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let committed: Arc<Mutex<Vec<(String, i64, MessageId)>>> = Arc::default();
    let left = Arc::new(AtomicU64::new(1_200));
    let writers: Vec<_> = (0..8u64)
        .map(|writer| {
            tokio::spawn(write(
                rig.clone(),
                committed.clone(),
                left.clone(),
                fastrand::Rng::with_seed(seed ^ writer),
            ))
        })
        .collect();
    for writer in writers {
        soon("a writer's end", writer).await.unwrap();
    }
    let mut rows = committed.lock().unwrap().clone();
    rows.sort();
    let mut ledger = Ledger::default();
    for (aggregate, _, id) in rows {
        ledger.0.entry(aggregate).or_default().push(id);
    }
    let total: u64 = ledger.0.values().map(|ids| ids.len() as u64).sum();
    soon("all acks", relay.wait_for(|stats| stats.acked >= total)).await.unwrap();
    assert_eq!(rig.compare(&ledger).await, Comparison::CLEAN);
    assert_eq!(relay.stop().await.unwrap().strays, 0);
}

async fn write(rig: Arc<Rig>, committed: Arc<Mutex<Vec<(String, i64, MessageId)>>>, left: Arc<AtomicU64>, mut rng: fastrand::Rng) {
    while left
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
        .is_ok()
    {
        let mut aggregates: Vec<String> = (0..rng.usize(1..4)).map(|_| format!("a{}", rng.u32(..12))).collect();
        aggregates.sort();
        aggregates.dedup();
        let records: Vec<_> = aggregates.iter().map(|aggregate| rig.record(aggregate, 0)).collect();
        let ids: Vec<_> = records.iter().map(|record| record.message_id).collect();
        let mut tx = rig.db.pool.begin().await.unwrap();
        tx.insert(&TableName::default(), records).await.unwrap();
        if rng.f64() < 0.05 {
            sqlx::query("select pg_sleep(0.03)").execute(&mut *tx).await.unwrap();
        }
        let mut done = Vec::new();
        for (aggregate, id) in aggregates.into_iter().zip(ids) {
            let bump = "insert into counters values ($1, 1) on conflict (id) do update set n = counters.n + 1 returning n";
            let n: i64 = sqlx::query_scalar(bump).bind(&aggregate).fetch_one(&mut *tx).await.unwrap();
            done.push((aggregate, n, id));
        }
        if rng.f64() < 0.1 {
            tx.rollback().await.unwrap();
        } else {
            tx.commit().await.unwrap();
            committed.lock().unwrap().extend(done);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_payload_waits_in_the_table_and_keeps_its_place() {
    let Some(rig) = Rig::new(2, &[]).await else { return };
    let mut records = Vec::new();
    for n in 0..40 {
        let mut record = rig.record(&format!("a{}", n % 4), n);
        if n % 5 == 0 {
            record.payload = Some(vec![b'x'; 300_000]);
        }
        records.push(record);
    }
    let mut ledger = Ledger::default();
    let names: Vec<_> = records.iter().map(|record| record.aggregate_id.clone()).collect();
    for (name, id) in names.into_iter().zip(rig.write(records).await) {
        ledger.0.entry(name).or_default().push(id);
    }
    let relay = rig.start().await;
    soon("40 acks", relay.wait_for(|stats| stats.acked >= 40)).await.unwrap();
    assert_eq!(rig.compare(&ledger).await, Comparison::CLEAN);
    let log = rig.topic.log().await;
    assert_eq!(
        log.iter()
            .filter(|record| record.payload.as_ref().is_some_and(|p| p.len() == 300_000))
            .count(),
        8
    );
    relay.stop().await.unwrap();
}

/// A relay in a process of its own, built without any event type: what it carries is nothing it could read.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_carries_bytes_and_headers_that_mean_nothing_to_it() {
    let Some(rig) = Rig::new(1, &[]).await else { return };
    let payloads: [Option<&[u8]>; 4] = [Some(b"\0\x01\xff\xfe"), Some(b""), None, Some(b"{\"not\": closed")];
    let records: Vec<_> = (0..)
        .zip(payloads)
        .map(|(n, payload)| {
            let mut record = rig.record("a", n);
            record.event_type = format!("Unheard{n}");
            "application/x-nobody-knows".clone_into(&mut record.content_type);
            record.payload = payload.map(<[u8]>::to_vec);
            record.headers.set("tenant", format!("Zoë {n}"));
            record
        })
        .collect();
    rig.write(records).await;
    let mut relay = Process::start(&rig).await;
    relay.acked(4).await;
    relay.stop().await;
    let log = rig.topic.log().await;
    assert_eq!(log.len(), 4);
    for ((n, payload), record) in (0..).zip(payloads).zip(&log) {
        let header = |name: &str| record.header(name).map(|value| String::from_utf8(value.to_vec()).unwrap());
        assert_eq!(record.payload.as_deref(), payload, "event {n}");
        assert_eq!(record.key.as_deref(), Some(&b"a"[..]));
        assert_eq!(header("event-type"), Some(format!("Unheard{n}")));
        assert_eq!(header("content-type").as_deref(), Some("application/x-nobody-knows"));
        assert_eq!(header("tenant"), Some(format!("Zoë {n}")));
    }
}
