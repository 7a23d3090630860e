//! A registry that is away, comes back, or is one of several.

use std::time::{Duration, Instant};

use eventferry::schema::confluent::ConfluentRegistry;
use eventferry::schema::{RegistryError, RegistryErrorKind, SchemaRegistry};
use eventferry::testing::proxy::{Line, TcpProxy, Way};
use eventferry_tests::own_registry::OwnRegistry;
use eventferry_tests::registry_front::{Answer, Front};

use crate::{avro, client, register, registry, subject};

#[tokio::test]
async fn a_registry_may_be_down_at_the_start_stop_and_come_back() {
    let Some(mut own) = OwnRegistry::stopped() else { return };
    let registry = client(&own.url())
        .auto_register(true)
        .retries(1)
        .request_timeout(Duration::from_millis(1500))
        .build()
        .unwrap();
    let (subject, schema) = (subject(), avro());
    let error = registry.id_of(&subject, &schema).await.unwrap_err();
    assert_eq!(error.kind(), RegistryErrorKind::Unavailable);
    assert!(
        error.to_string().contains(&own.url()) && error.to_string().contains("cannot be connected to"),
        "{error}"
    );

    own.start_again().await;
    // The first schema of a cold registry takes longer than the timeout of this client's.
    register(&own.url(), &subject, &schema).await;
    let id = until_answered(|| registry.id_of(&subject, &schema)).await;

    own.freeze();
    let error = registry.schema_of(id).await.unwrap_err();
    assert_eq!(error.kind(), RegistryErrorKind::Unavailable);
    assert!(error.to_string().contains("no answer in time"), "{error}");
    own.thaw();
    assert_eq!(until_answered(|| registry.schema_of(id)).await.text, schema.text);

    // What is known needs no registry; what is not waits for it.
    own.stop();
    assert_eq!(registry.id_of(&subject, &schema).await.unwrap(), id);
    assert_eq!(registry.schema_of(id).await.unwrap().text, schema.text);
    let error = registry.id_of(&subject, &avro()).await.unwrap_err();
    assert_eq!(error.kind(), RegistryErrorKind::Unavailable);
}

/// The first answer: a registry that has just come, or come to, takes longer for it than this client waits.
async fn until_answered<T, F: Future<Output = Result<T, RegistryError>>>(ask: impl Fn() -> F) -> T {
    let answered = async {
        loop {
            if let Ok(answer) = ask().await {
                return answer;
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(1), answered)
        .await
        .expect("the registry answers")
}

#[tokio::test]
async fn the_next_url_is_asked_where_one_is_away_and_the_good_one_is_remembered() {
    let Some(url) = registry() else { return };
    // Nobody listens there.
    let dead = "http://127.0.0.1:1".to_owned();
    // Answers every request with an error of its own.
    let broken = Front::start(None).await;
    let registry = ConfluentRegistry::builder([dead.clone(), broken.url(), url.clone()])
        .build()
        .unwrap();
    let (subject, schema) = (subject(), avro());
    let id = register(&url, &subject, &schema).await;
    assert_eq!(registry.id_of(&subject, &schema).await.unwrap().get(), id);
    assert_eq!(broken.asked().len(), 1);
    assert_eq!(registry.schema_of(eventferry::schema::SchemaId::new(id)).await.unwrap(), schema);
    assert_eq!(broken.asked().len(), 1, "the good one was not remembered");

    // With all of them away the error names each.
    let registry = ConfluentRegistry::builder([dead.clone(), broken.url()]).retries(0).build().unwrap();
    let error = registry.id_of(&subject, &schema).await.unwrap_err();
    assert_eq!(error.kind(), RegistryErrorKind::Unavailable);
    for part in [&dead, &broken.url(), "cannot be connected to", "error 50001"] {
        assert!(error.to_string().contains(part), "`{part}` is not in: {error}");
    }
}

#[tokio::test]
async fn a_lost_connection_is_made_again_and_a_stalled_one_given_up() {
    let Some(url) = registry() else { return };
    let (host, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let proxy = TcpProxy::start(host).await.unwrap();
    let registry = client(&format!("http://{}/{path}", proxy.address()))
        .auto_register(true)
        .refusal_ttl(Duration::ZERO)
        .retries(1)
        .request_timeout(Duration::from_secs(4))
        .deadline(Duration::from_mins(1))
        .build()
        .unwrap();
    registry.id_of(&subject(), &avro()).await.unwrap();
    // The connection that was kept is dead now; nobody hears of it.
    proxy.cut();
    registry.id_of(&subject(), &avro()).await.unwrap();

    proxy.set(Line::Stalled(Way::Down));
    let started = Instant::now();
    let error = registry.id_of(&subject(), &avro()).await.unwrap_err();
    assert_eq!(error.kind(), RegistryErrorKind::Unavailable);
    // Two tries, and not the whole deadline.
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}

#[tokio::test]
async fn only_what_may_pass_is_asked_again() {
    let good = r#"{"subject":"s","version":1,"id":7,"schema":"\"string\""}"#;
    let schema = avro();
    for (answers, asked) in [
        // Statuses that pass: asked again, as often as allowed.
        (vec![Answer::new(503, ""), Answer::new(200, good)], Ok(2)),
        (
            vec![
                Answer::new(500, r#"{"error_code":50003,"message":"forwarding failed"}"#),
                Answer::new(502, "<html>"),
                Answer::new(504, ""),
                Answer::new(200, good),
            ],
            Ok(4),
        ),
        (vec![Answer::new(408, ""), Answer::new(200, good)], Ok(2)),
        // Of what may stand before a registry.
        (
            vec![Answer::new(507, ""), Answer::new(522, "<html>"), Answer::new(200, good)],
            Ok(3),
        ),
        (
            vec![Answer::new(429, "").with_header("retry-after", "0"), Answer::new(200, good)],
            Ok(2),
        ),
        (vec![Answer::new(429, ""), Answer::new(200, good)], Ok(2)),
        (
            vec![Answer::new(503, ""); 5],
            Err((4, RegistryErrorKind::Unavailable, "status 503")),
        ),
        // It asks for more time than there is.
        (
            vec![Answer::new(429, "").with_header("retry-after", "3600"); 2],
            Err((1, RegistryErrorKind::Unavailable, "come back in 3600 s")),
        ),
        (
            vec![Answer::new(429, "").with_header("retry-after", "18446744073709551615"); 2],
            Err((1, RegistryErrorKind::Unavailable, "come back in 18446744073709551615 s")),
        ),
        (
            vec![Answer::new(503, "").with_header("retry-after", "60"); 2],
            Err((1, RegistryErrorKind::Unavailable, "come back in 60 s")),
        ),
        // The same as a date, which is held against the answer's own.
        (
            vec![asked_until("Sun, 06 Nov 1994 09:49:37 GMT"); 2],
            Err((1, RegistryErrorKind::Unavailable, "come back in 3600 s")),
        ),
        // A date that has passed, and one that is none: a pause of our own.
        (vec![asked_until("Sat, 05 Nov 1994 08:49:37 GMT"), Answer::new(200, good)], Ok(2)),
        (vec![asked_until("soon"), Answer::new(200, good)], Ok(2)),
        // The rest stays as it is, however often it is asked.
        (vec![Answer::new(400, "{}"); 2], Err((1, RegistryErrorKind::Invalid, "status 400"))),
        (
            vec![Answer::new(401, ""); 2],
            Err((1, RegistryErrorKind::Unauthorized, "other credentials")),
        ),
        (vec![Answer::new(403, ""); 2], Err((1, RegistryErrorKind::Unauthorized, "forbids"))),
        (
            vec![Answer::new(404, r#"{"error_code":40401,"message":"no subject"}"#); 2],
            Err((1, RegistryErrorKind::NotFound, "error 40401: no subject")),
        ),
        // Asked for a second time in another form, and not because it might pass.
        (
            vec![Answer::new(404, r#"{"error_code":40403,"message":"no schema"}"#); 3],
            Err((2, RegistryErrorKind::NotFound, "error 40403: no schema")),
        ),
        (
            vec![Answer::new(404, "<html>"); 2],
            Err((1, RegistryErrorKind::Invalid, "is the URL right")),
        ),
        (
            vec![Answer::new(422, r#"{"error_code":42201,"message":"Invalid schema"}"#); 2],
            Err((1, RegistryErrorKind::Invalid, "error 42201: Invalid schema")),
        ),
        (vec![Answer::new(501, "{}"); 2], Err((1, RegistryErrorKind::Invalid, "status 501"))),
        (vec![Answer::new(505, ""); 2], Err((1, RegistryErrorKind::Invalid, "status 505"))),
    ] {
        let front = Front::start(None).await;
        for answer in &answers {
            front.answer(answer.clone());
        }
        let registry = client(&front.url()).build().unwrap();
        let found = registry.id_of(&subject(), &schema).await;
        match (found, asked) {
            (Ok(id), Ok(count)) => assert_eq!((id.get(), front.asked().len()), (7, count), "{answers:?}"),
            (Err(error), Err((count, kind, text))) => {
                assert_eq!((error.kind(), front.asked().len()), (kind, count), "{answers:?}: {error}");
                assert!(error.to_string().contains(text), "{error}");
            }
            (found, _) => panic!("{answers:?}: {found:?}"),
        }
    }
}

/// A registry whose clock stands in 1994 asks to be left alone until then.
fn asked_until(date: &str) -> Answer {
    Answer::new(429, "")
        .with_header("date", "Sun, 06 Nov 1994 08:49:37 GMT")
        .with_header("retry-after", date)
}

#[tokio::test]
async fn what_retry_after_asks_for_is_waited_for_in_seconds_and_as_a_date() {
    for answer in [
        Answer::new(503, "").with_header("retry-after", "1"),
        asked_until("Sun, 06 Nov 1994 08:49:38 GMT"),
    ] {
        let front = Front::start(None).await;
        front.answer(answer);
        front.answer(Answer::new(200, r#"{"id":7}"#));
        let registry = client(&front.url()).build().unwrap();
        let started = Instant::now();
        assert_eq!(registry.id_of(&subject(), &avro()).await.unwrap().get(), 7);
        let took = started.elapsed();
        assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(10), "{took:?}");
    }
}

#[tokio::test]
async fn a_registry_that_holds_back_is_not_asked_at_its_next_url() {
    let (first, second) = (Front::start(None).await, Front::start(None).await);
    first.answer(Answer::new(429, "").with_header("retry-after", "60"));
    let registry = ConfluentRegistry::builder([first.url(), second.url()]).build().unwrap();
    let error = registry.id_of(&subject(), &avro()).await.unwrap_err();
    assert!(error.to_string().contains("come back in 60 s"), "{error}");
    assert_eq!((first.asked().len(), second.asked().len()), (1, 0));
}

#[tokio::test]
async fn limits_without_an_end_are_taken() {
    let front = Front::start(None).await;
    front.answer(Answer::new(503, ""));
    front.answer(Answer::new(200, r#"{"id":7}"#));
    let registry = client(&front.url())
        .connect_timeout(Duration::MAX)
        .request_timeout(Duration::MAX)
        .deadline(Duration::MAX)
        .refusal_ttl(Duration::MAX)
        .build()
        .unwrap();
    assert_eq!(registry.id_of(&subject(), &avro()).await.unwrap().get(), 7);
}

#[tokio::test]
async fn a_question_ends_at_its_deadline_whatever_is_left_to_try() {
    let front = Front::start(None).await;
    front.hold();
    let registry = ConfluentRegistry::builder([front.url(), front.url(), front.url()])
        .request_timeout(Duration::from_secs(10))
        .deadline(Duration::from_millis(600))
        .retries(1000)
        .build()
        .unwrap();
    let started = Instant::now();
    let (subject, schema) = (subject(), avro());
    let asked = tokio::time::timeout(Duration::from_secs(20), registry.id_of(&subject, &schema));
    let error = asked.await.expect("the deadline is long over").unwrap_err();
    assert_eq!(error.kind(), RegistryErrorKind::Unavailable);
    let took = started.elapsed();
    // A single try that does not end with the question takes ten seconds.
    assert!(took >= Duration::from_millis(550) && took < Duration::from_secs(9), "{took:?}");
}

#[tokio::test]
async fn the_deadline_is_one_for_all_tries_of_a_question() {
    // The first try ends at once and asks for a pause; the second is not answered. Each of them by itself is within the deadline.
    let front = Front::start(None).await;
    front.answer(Answer::new(503, "").with_header("retry-after", "3"));
    let registry = client(&front.url())
        .request_timeout(Duration::from_secs(30))
        .deadline(Duration::from_secs(6))
        .build()
        .unwrap();
    let started = Instant::now();
    let (subject, schema) = (subject(), avro());
    let asking = registry.id_of(&subject, &schema);
    let holding = async {
        while front.asked().is_empty() {
            tokio::task::yield_now().await;
        }
        // On this runtime of one thread what was noted was let through as well.
        front.hold();
    };
    let asked = tokio::time::timeout(Duration::from_secs(20), async { tokio::join!(asking, holding) });
    let error = asked.await.expect("the deadline is long over").0.unwrap_err();
    let took = started.elapsed();
    assert_eq!(error.kind(), RegistryErrorKind::Unavailable);
    assert!(error.to_string().contains("no answer in time"), "{error}");
    assert_eq!(front.asked().len(), 2);
    // With a deadline for each try it would be nine seconds.
    assert!(
        took >= Duration::from_millis(5900) && took < Duration::from_millis(8700),
        "{took:?}"
    );
}
