//! The session's own bookkeeping, with a client whose broker is nowhere.

use super::*;
use crate::publish::kafka::clock::{WallClock, tests::steered};
use crate::publish::kafka::losses::Losses;
use crate::publish::{Delivery, PublishErrorKind};

const AT_MOST: Duration = Duration::from_secs(30);

/// A session whose broker is nowhere: what its client is given stays there, and the test plays the answers.
fn session(user: &[(&str, &str)]) -> KafkaSession {
    let settings = Settings::nowhere(user);
    opened(&settings, &WallClock::start().unwrap())
}

fn opened(settings: &Settings, clock: &WallClock) -> KafkaSession {
    let (client, era) = (PlainProducer::new(settings).unwrap(), clock.era());
    KafkaSession::open(settings, Arc::default(), Dated { client, era }).unwrap()
}

fn message() -> Message {
    Message::new("orders", "1")
}

/// A session that never reports fails its test.
async fn reports(session: &mut KafkaSession) -> Vec<Report> {
    timeout(AT_MOST, session.reports()).await.expect("a report")
}

fn answer(session: &KafkaSession, token: u64, offset: i64) {
    session.shared.push(Ticket { token, place: 0 }, Ok(Delivery::at(0, offset)));
}

#[tokio::test]
async fn an_event_never_overtakes_one_that_waits_for_room_in_the_client() {
    let mut session = session(&[("queue.buffering.max.messages", "1")]);
    session.hand_over(0, 0, message()).unwrap();
    session.hand_over(1, 0, message()).unwrap();
    // The client still holds the first, so there is no room for the second, though its partition is warm.
    answer(&session, 0, 0);
    assert_eq!(reports(&mut session).await.len(), 1);
    assert_eq!((session.waiting, session.outstanding), (1, 0));
    session.hand_over(2, 0, message()).unwrap();
    assert_eq!(session.waiting, 2, "the third waits behind the second");
    let order: Vec<u64> = std::iter::from_fn(|| session.places[0].flow.next())
        .map(|(token, _)| token)
        .collect();
    assert_eq!(order, [1, 2]);
}

#[tokio::test]
async fn an_event_is_given_back_only_while_a_report_is_still_to_come() {
    let mut session = session(&[("queue.buffering.max.messages", "2")]);
    session.hand_over(0, 0, message()).unwrap();
    answer(&session, 0, 0);
    assert_eq!(reports(&mut session).await.len(), 1);
    session.hand_over(1, 0, message()).unwrap();
    assert!(
        session.hand_over(2, 0, message()).is_err(),
        "full, and the report of event 1 will call the caller back"
    );
    answer(&session, 1, 1);
    assert_eq!(reports(&mut session).await.len(), 1);
    session.hand_over(2, 0, message()).unwrap();
    assert_eq!(
        (session.waiting, session.outstanding),
        (1, 0),
        "still full, and no report would call anybody"
    );
}

#[tokio::test]
async fn a_client_that_makes_room_without_a_report_is_tried_again() {
    let mut session = session(&[("queue.buffering.max.messages", "1")]);
    // What this client reports goes elsewhere, so that its queue can be emptied behind the session's back.
    let client = Arc::new(SessionClient::new(&Settings::nowhere(&[("queue.buffering.max.messages", "1")]), Arc::default()).unwrap());
    session.producer = Some(Arc::clone(&client));
    session.hand_over(0, 0, message()).unwrap();
    answer(&session, 0, 0);
    assert_eq!(reports(&mut session).await.len(), 1);
    session.hand_over(1, 0, message()).unwrap();
    assert_eq!((session.waiting, session.outstanding), (1, 0));
    let waiting = timeout(Duration::from_millis(200), session.reports());
    let (reports, ()) = tokio::join!(waiting, async { client.end() });
    assert!(reports.is_err(), "no broker, no report");
    assert_eq!((session.waiting, session.outstanding), (0, 1), "the client has the event");
}

#[tokio::test]
async fn a_client_that_gave_up_is_reported_by_an_event_that_waits() {
    let mut session = session(&[]);
    for token in 0..3 {
        session.hand_over(token, 0, message()).unwrap();
    }
    session.shared.over.store(true, Ordering::Release);
    answer(&session, 0, 0);
    let reports = reports(&mut session).await;
    let told: Vec<_> = reports.iter().map(|report| (report.token, report.result.is_ok())).collect();
    assert_eq!(told, [(0, true), (1, false)]);
    assert!(session.hand_over(3, 0, message()).is_err());
}

#[tokio::test]
async fn a_client_that_gave_up_with_nothing_to_do_is_reported_by_the_next_event() {
    let mut session = session(&[]);
    session.shared.over.store(true, Ordering::Release);
    session.hand_over(7, 0, message()).unwrap();
    let reports = reports(&mut session).await;
    assert_eq!((reports.len(), reports[0].token, reports[0].result.is_err()), (1, 7, true));
    assert!(session.hand_over(8, 0, message()).is_err(), "one is enough");
}

#[tokio::test]
async fn closing_tells_what_arrived_and_claims_nothing_else() {
    let mut session = session(&[]);
    for token in 0..3 {
        session.hand_over(token, 0, message()).unwrap();
    }
    answer(&session, 0, 0);
    let reports = timeout(AT_MOST, Box::new(session).close()).await.expect("it is closed");
    assert_eq!((reports.len(), reports[0].token, reports[0].result.is_ok()), (1, 0, true));
}

#[tokio::test]
async fn no_more_events_wait_than_the_limit() {
    let mut session = session(&[]);
    for token in 0..=WAITING_LIMIT as u64 {
        session.hand_over(token, 0, message()).unwrap();
    }
    assert!(session.hand_over(0, 0, message()).is_err());
    assert!(session.hand_over(0, 1, message()).is_ok(), "another partition has nothing waiting");
}

/// A session whose event 0 is under suspicion, and whose leader has answered that it is there, or that it is not.
fn suspecting(leader_answers: impl Into<OnceLock<bool>>) -> KafkaSession {
    let mut session = session(&[]);
    for token in 0..2 {
        session.hand_over(token, 0, message()).unwrap();
    }
    let stillness = &mut session.places[0].stillness;
    assert!(!stillness.suspicious(0) && stillness.suspicious(3), "three connections were lost");
    session.suspicion = Some(Suspicion {
        place: 0,
        leader_answers: Arc::new(leader_answers.into()),
    });
    session
}

#[tokio::test]
async fn an_event_under_which_connections_are_lost_ends_the_session_if_the_leader_answers() {
    let mut session = suspecting(true);
    let reports = reports(&mut session).await;
    let told: Vec<_> = reports.iter().map(|report| (report.token, report.result.is_err())).collect();
    assert_eq!(told, [(0, true)]);
    assert!(session.hand_over(2, 0, message()).is_err(), "it is over");
}

#[tokio::test]
async fn what_arrives_while_the_leader_is_asked_clears_the_events_of_its_partition() {
    let mut session = suspecting(true);
    answer(&session, 0, 0);
    let reports = reports(&mut session).await;
    let told: Vec<_> = reports.iter().map(|report| (report.token, report.result.is_ok())).collect();
    assert_eq!(told, [(0, true)], "the one that was on its way, and nothing about the next");
    assert!(!session.places[0].stillness.suspicious(9), "what was lost before counts no more");
    assert!(session.hand_over(2, 0, message()).is_ok());
}

#[tokio::test]
async fn what_arrived_before_the_leader_answers_is_not_forgotten_at_the_next_count() {
    let mut session = suspecting(OnceLock::new());
    answer(&session, 0, 0);
    session.shared.counted(Losses::default());
    assert_eq!(session.settle().len(), 1, "the one that arrived");
    session.shared.counted(Losses::default());
    assert!(session.settle().is_empty());
    let asked = session.suspicion.as_ref().expect("not answered yet");
    asked.leader_answers.set(true).expect("once");
    assert!(session.settle().is_empty(), "nothing about the next");
    assert!(session.suspicion.is_none() && session.hand_over(2, 0, message()).is_ok());
}

#[tokio::test]
async fn connections_lost_while_the_leader_was_away_are_forgiven_when_it_is_back() {
    let mut session = suspecting(false);
    assert!(session.settle().is_empty(), "an outage is no event's fault");
    let stillness = &mut session.places[0].stillness;
    assert!(!stillness.suspicious(9) && !stillness.suspicious(11), "counted anew");
    assert!(stillness.suspicious(12));
}

#[tokio::test]
async fn a_clock_that_is_set_back_ends_a_session_with_events_on_their_way() {
    let (steps, clock) = steered();
    let mut session = opened(&Settings::nowhere(&[]), &clock);
    for token in 0..3 {
        session.hand_over(token, 0, message()).unwrap();
    }
    session.hand_over(3, 1, message()).unwrap();
    let (reports, ()) = tokio::join!(reports(&mut session), async { steps.send_modify(|number| *number += 1) });
    let [report] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!(report.token, 0, "the first that was on its way");
    let error = report.result.as_ref().unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::Retriable);
    assert!(
        error
            .to_string()
            .contains("topic `orders`: the wall clock of this host was set back"),
        "{error}"
    );
    assert!(session.hand_over(4, 2, message()).is_err(), "it is over");
    let more = timeout(Duration::from_millis(50), session.reports()).await;
    assert!(more.is_err(), "{more:?}");
}

#[tokio::test]
async fn after_the_clock_was_set_back_nothing_is_sent_by_an_idle_session() {
    let (steps, clock) = steered();
    let mut session = opened(&Settings::nowhere(&[]), &clock);
    session.hand_over(0, 0, message()).unwrap();
    answer(&session, 0, 0);
    assert_eq!(reports(&mut session).await.len(), 1);
    steps.send_modify(|number| *number += 1);
    let idle = timeout(Duration::from_millis(50), session.reports()).await;
    assert!(idle.is_err(), "there is no event to say it of: {idle:?}");
    session.hand_over(1, 0, message()).unwrap();
    assert_eq!((session.outstanding, session.waiting), (0, 1), "not with the old client");
    let reports = reports(&mut session).await;
    assert_eq!(reports.len(), 1);
    assert_eq!(
        (reports[0].token, reports[0].result.as_ref().unwrap_err().kind()),
        (1, PublishErrorKind::Retriable)
    );
    assert_eq!(session.outstanding, 0);
}
