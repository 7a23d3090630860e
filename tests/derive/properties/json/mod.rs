//! JSON: any value of any shape comes back, and what its schema forbids is refused at its place.

mod mutate;
mod wide;

use std::collections::BTreeMap;

use eventferry::{EnqueueErrorKind, OutboxEvent, define_outbox};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::mutate::{Mutations, allows};
use self::wide::{Wide, wide};
use super::{message, rng};

/// Any JSON at all, under the schema of [`Wide`].
#[derive(Debug, Serialize, Deserialize, OutboxEvent)]
#[serde(transparent)]
#[outbox(topic = "things", aggregate_type = "thing", aggregate_id = self.0["id"])]
struct Anything(Value);

impl JsonSchema for Anything {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Wide::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Wide::json_schema(generator)
    }
}

define_outbox! {
    type WideEvents;
    #[derive(Debug, PartialEq)]
    enum WideEvent {
        Wide,
    }
}

define_outbox! {
    type AnyEvents;
    #[derive(Debug)]
    enum AnyEvent {
        Anything,
    }
}

#[test]
fn any_value_of_any_shape_is_allowed_and_decodes_to_itself() {
    let (mut rng, events) = (rng(), WideEvents::new().unwrap());
    // A reader that asks for all that can be asked for takes what a writer of the same code writes.
    let strict = events.clone().checked_decode().and_then(eventferry::Outbox::strict).unwrap();
    for _ in 0..150 {
        let event = wide(&mut rng, 2);
        let sent = message(&events, event.clone()).unwrap();
        assert_eq!(strict.decode(&sent).unwrap(), WideEvent::Wide(event));
    }
}

/// Every rule that the schema of [`Wide`] has.
const RULES: [&str; 21] = [
    "type",
    "enum",
    "const",
    "anyOf",
    "oneOf",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "required",
    "additionalProperties",
    "values of a map",
    "minItems",
    "maxItems",
    "uniqueItems",
    "items",
];

#[test]
#[expect(clippy::print_stdout, reason = "shown where a test fails, or is asked")]
fn any_mutation_that_a_json_schema_forbids_is_refused_at_its_place() {
    let (mut rng, events) = (rng(), AnyEvents::new().unwrap());
    let schema: Value = serde_json::from_str(&AnyEvents::schemas()[0].text).unwrap();
    let (mut tried, mut allowed) = (BTreeMap::<&str, usize>::new(), 0);
    let enough = |tried: &BTreeMap<&str, usize>| RULES.iter().all(|rule| tried.get(rule).is_some_and(|tries| *tries >= 3));
    let mut values = 0;
    while values < 2 || (values < 20 && !enough(&tried)) {
        values += 1;
        // Out of its bytes: a `Value` cannot be made of 128 bits.
        let good = serde_json::to_vec(&wide(&mut rng, 1)).unwrap();
        let good: Value = serde_json::from_slice(&good).unwrap();
        assert!(allows(&schema, &schema, &good), "the test reads the schema wrongly: {good:#}");
        message(&events, Anything(good.clone())).unwrap();
        for mutation in Mutations::of(&schema, &good) {
            let mut bad = good.clone();
            *bad.pointer_mut(&mutation.place).unwrap() = mutation.value.clone();
            let is_allowed = allows(&schema, &schema, &bad);
            let sent = message(&events, Anything(bad));
            if is_allowed {
                // Another form allows what the one that it was of forbids.
                sent.unwrap_or_else(|refused| panic!("{mutation:?}: {refused}"));
                allowed += 1;
                continue;
            }
            let refused = sent.expect_err(&format!("{mutation:?}"));
            assert_eq!(refused.kind(), EnqueueErrorKind::Refused);
            // Where the whole is another value, that may come near to another form, and is wrong within it.
            let is_whole = ["type", "anyOf", "oneOf"].contains(&mutation.rule);
            let tells = |pointer: &str| {
                let below = pointer.strip_prefix(&mutation.pointer);
                below.is_some_and(|below| below.is_empty() || (is_whole && below.starts_with('/')))
            };
            assert!(
                refused.violations().iter().any(|one| tells(one.pointer())),
                "{mutation:?}: {refused}: {:?}",
                refused.violations()
            );
            *tried.entry(mutation.rule).or_default() += 1;
            if mutation
                .place
                .rsplit_once('/')
                .is_some_and(|(_, last)| last.parse::<usize>().is_ok())
            {
                *tried.entry("items").or_default() += 1;
            }
        }
    }
    assert!(enough(&tried), "a rule was tried too seldom: {tried:?}");
    assert_eq!(tried.len(), RULES.len(), "{tried:?}");
    let all: usize = tried.values().sum();
    assert!(
        all > 300 && allowed < all / 10,
        "{all} mutations, and {allowed} that are none: {tried:?}"
    );
    println!("{all} mutations of {values} values, {allowed} that another form allows: {tried:?}");
}
