//! Schemas that a publisher must know: what waits for one, and what does not.

use std::sync::Arc;
use std::time::Duration;

use super::{Bench, config, pipelined, row};
use crate::event::headers::EVENT_SCHEMA;
use crate::outbox::Record;
use crate::relay::core::{Command, CoreConfig, Fact, Notice, PublishCommand};

fn learning(config: CoreConfig) -> CoreConfig {
    CoreConfig { learns: true, ..config }
}

fn with_schema(id: i64, aggregate: &str, schema: &'static str) -> Record {
    let mut row = row(id, aggregate);
    row.headers.set(EVENT_SCHEMA, schema);
    row
}

impl Bench {
    /// Schemas that were asked for since the last call.
    fn asked(&mut self) -> Vec<String> {
        let mut out = Vec::new();
        self.commands.retain(|command| {
            let Command::Publish(PublishCommand::Learn { schema, .. }) = command else {
                return true;
            };
            out.push(schema.to_string());
            false
        });
        out
    }

    fn learned(&mut self, schema: &str, ok: bool) {
        let (topic, schema) = (Arc::from("t"), Arc::from(schema));
        let problem = (!ok).then(|| "no such row".to_owned());
        self.turn([Fact::Learned { topic, schema, problem }]);
    }

    fn told(&mut self) -> Vec<Notice> {
        let mut out = Vec::new();
        self.commands.retain(|command| {
            let Command::Tell(notice) = command else { return true };
            out.push(notice.clone());
            false
        });
        out
    }
}

#[test]
fn an_event_waits_for_its_schema_and_others_of_its_topic_do_not() {
    let mut bench = Bench::new(learning(config()));
    bench.read(|batch| batch.fresh = vec![with_schema(1, "a", "x"), with_schema(2, "b", "y"), row(3, "c")]);
    assert_eq!(bench.ids(), [3], "it names no schema");
    assert_eq!(bench.asked(), ["x", "y"]);
    bench.learned("y", true);
    assert_eq!(bench.ids(), [2]);
    bench.learned("x", true);
    assert_eq!(bench.ids(), [1]);
    bench.turn([]);
    bench.read(|batch| batch.fresh = vec![with_schema(4, "d", "x")]);
    assert_eq!((bench.ids(), bench.asked()), (vec![4], Vec::new()), "it is asked for once");
}

#[test]
fn a_successor_does_not_pass_an_event_that_waits_for_its_schema() {
    let mut bench = Bench::new(learning(config()));
    bench.read(|batch| batch.fresh = vec![with_schema(1, "a", "x"), row(2, "a")]);
    assert_eq!(bench.ids(), [0; 0]);
    bench.learned("x", true);
    let sent = bench.handed_over();
    assert_eq!(sent[0].0, 1);
    bench.turn([Fact::Delivered(vec![sent[0].1])]);
    assert_eq!(bench.ids(), [2]);
}

#[test]
fn a_schema_that_is_away_is_asked_for_again_and_told_of_once() {
    for config in [config(), pipelined()] {
        let is_pipelined = config.pipelined;
        let mut bench = Bench::new(learning(config));
        bench.read(|batch| batch.fresh = vec![with_schema(1, "a", "x")]);
        if is_pipelined {
            bench.answer_topic(Ok(1));
        }
        let mut asked = bench.asked().len();
        for _ in 0..5 {
            bench.learned("x", false);
            bench.now += Duration::from_secs(1);
            bench.turn([]);
            asked += bench.asked().len();
        }
        assert_eq!(asked, 6);
        assert_eq!((bench.core.stats().schemas_away, bench.core.stats().topics_away), (1, 0));
        let (topic, schema): (Arc<str>, Arc<str>) = (Arc::from("t"), Arc::from("x"));
        let away = Notice::SchemaAway {
            topic: topic.clone(),
            schema: schema.clone(),
            problem: "no such row".to_owned(),
        };
        assert_eq!(bench.told(), [away]);
        bench.learned("x", true);
        assert_eq!(bench.told(), [Notice::SchemaBack { topic, schema }]);
        assert_eq!(bench.core.stats().schemas_away, 0);
        let (number, count) = bench.aggregates().expect("the aggregate is read again");
        assert_eq!(count, 1);
        bench.turn([Fact::Aggregates {
            number,
            rows: Some(vec![with_schema(1, "a", "x")]),
        }]);
        if is_pipelined {
            return; // it waits for a session now
        }
        assert_eq!(bench.ids(), [1]);
    }
}

#[test]
fn events_of_two_schemas_of_one_aggregate_go_together_on_one_route() {
    let mut bench = Bench::new(learning(pipelined()));
    bench.read(|batch| batch.fresh = vec![with_schema(1, "a", "x"), with_schema(2, "a", "y")]);
    bench.answer_topic(Ok(1));
    bench.learned("x", true);
    let session = bench.commands.iter().find_map(|command| {
        let Command::Publish(PublishCommand::OpenSession { session, .. }) = command else {
            return None;
        };
        Some(*session)
    });
    bench.turn([Fact::SessionOpened {
        session: session.expect("a session is opened"),
    }]);
    assert_eq!(bench.ids(), [1]);
    bench.learned("y", true);
    assert_eq!(
        bench.ids(),
        [2],
        "a second schema is no other route: nothing has been delivered yet"
    );
}
