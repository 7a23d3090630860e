//! Every change, in both directions, asked of us and of a real registry.

use std::fmt::Write as _;

use eventferry::schema::evolution::{Compatibility, compare};
use eventferry::schema::{Schema, SchemaKind};
use eventferry_tests::registry_front::{Answer, ask};

use crate::evolution::cases::{self, Case};
use crate::{fresh, registry};

async fn call(url: &str, method: &str, path: &str, body: &serde_json::Value) -> serde_json::Value {
    let Answer { status, body, .. } = ask(url, method, path, Some(&body.to_string())).await.expect("the registry answers");
    assert_eq!(status, 200, "{method} {path}: {body}");
    serde_json::from_str(&body).expect("JSON")
}

/// What the registry says of a change, under a subject of its own.
async fn answer(url: &str, case: &Case) -> Compatibility {
    let subject = fresh("evolution");
    let [old, new] = case
        .schemas()
        .map(|schema| serde_json::json!({"schema": schema.text, "schemaType": schema.kind.as_str()}));
    call(url, "POST", &format!("/subjects/{subject}/versions"), &old).await;
    let mut answers = [false; 2];
    for (answer, level) in answers.iter_mut().zip(["BACKWARD", "FORWARD"]) {
        call(
            url,
            "PUT",
            &format!("/config/{subject}"),
            &serde_json::json!({"compatibility": level}),
        )
        .await;
        let path = format!("/compatibility/subjects/{subject}/versions/latest");
        let said = ask(url, "POST", &path, Some(&new.to_string())).await.expect("the registry answers");
        // A reader's field that two of the writer's are makes the registry call the schema invalid, where it compares and not where it registers.
        if said.status == 422 {
            continue;
        }
        assert_eq!(said.status, 200, "{}: {}", case.change, said.body);
        let said: serde_json::Value = serde_json::from_str(&said.body).expect("JSON");
        *answer = said["is_compatible"].as_bool().expect("an answer");
    }
    of(answers)
}

fn of([backward, forward]: [bool; 2]) -> Compatibility {
    match (backward, forward) {
        (true, true) => Compatibility::Full,
        (true, false) => Compatibility::Backward,
        (false, true) => Compatibility::Forward,
        (false, false) => Compatibility::None,
    }
}

/// The schemas of a JSON row in the draft that derived types have; the rows are written in draft 7.
fn in_2020_12(case: &Case) -> [Schema; 2] {
    case.schemas().map(|mut schema| {
        let text = schema
            .text
            .replace(
                "http://json-schema.org/draft-07/schema#",
                "https://json-schema.org/draft/2020-12/schema",
            )
            .replace("definitions", "$defs")
            .replace(r#""items": ["#, r#""prefixItems": ["#)
            .replace("additionalItems", "items");
        assert!(text != schema.text && !text.contains("draft-07"), "{text}");
        schema.text = text;
        schema
    })
}

#[test]
fn every_change_means_to_us_what_the_table_says() {
    let (mut wrong, mut asked) = (Vec::new(), [0, 0]);
    for case in cases::all() {
        let later = (case.kind == SchemaKind::Json).then(|| in_2020_12(&case));
        for (draft, [old, new]) in [Some(case.schemas()), later].into_iter().flatten().enumerate() {
            let evolution = compare(&old, &new).expect("schemas");
            let said = (evolution.compatibility(), evolution.as_declared().compatibility());
            if said != case.ours {
                wrong.push(format!(
                    "{} {}{}: {said:?}, not {:?}\n{evolution}",
                    case.kind.as_str(),
                    case.change,
                    ["", " in 2020-12"][draft],
                    case.ours
                ));
            }
            asked[draft] += 1;
        }
    }
    assert!(wrong.is_empty(), "{} of {asked:?}:\n{}", wrong.len(), wrong.join("\n"));
    let json = cases::all().iter().filter(|case| case.kind == SchemaKind::Json).count();
    assert!(json > 50 && asked == [cases::all().len(), json], "{asked:?}");
}

#[test]
fn a_schema_that_moved_to_another_draft_is_not_called_compatible() {
    for case in cases::all().into_iter().filter(|case| case.kind == SchemaKind::Json) {
        let [old, new] = case.schemas();
        let [later_old, later_new] = in_2020_12(&case);
        for (old, new) in [(&old, &later_new), (&later_old, &new)] {
            let evolution = compare(old, new).expect("schemas");
            let said = (evolution.compatibility(), evolution.as_declared().compatibility());
            assert_eq!(said, (Compatibility::None, Compatibility::None), "{}\n{evolution}", case.change);
            assert!(evolution.to_string().contains("or in two of them"), "{evolution}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_agrees_in_every_cell_or_the_table_says_why_not() {
    let Some(url) = registry() else { return };
    let started = std::time::Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    let all = cases::all();
    let count = all.len();
    for batch in all.into_iter().fold(
        vec![Vec::new(), Vec::new(), Vec::new(), Vec::new()],
        |mut batches: Vec<Vec<Case>>, case| {
            let at = batches
                .iter()
                .enumerate()
                .min_by_key(|(_, batch)| batch.len())
                .map_or(0, |(at, _)| at);
            batches[at].push(case);
            batches
        },
    ) {
        let url = url.clone();
        tasks.spawn(async move {
            let mut wrong = Vec::new();
            for case in batch {
                let said = answer(&url, &case).await;
                if said != case.registry {
                    wrong.push(format!("{} {}: {said:?}, not {:?}", case.kind.as_str(), case.change, case.registry));
                }
            }
            wrong
        });
    }
    let mut wrong: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    wrong.sort();
    eprintln!("{count} changes in both directions in {:?}", started.elapsed());
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn an_answer_of_the_registry_that_is_not_ours_is_explained() {
    for case in cases::all() {
        assert_eq!(
            case.registry == case.ours.0,
            case.why.is_empty(),
            "{} {}",
            case.kind.as_str(),
            case.change
        );
    }
}

/// The table of `docs/evolution.md`.
fn printed() -> String {
    let mut text = String::new();
    for (kind, title) in [
        (SchemaKind::Json, "JSON Schema"),
        (SchemaKind::Avro, "Avro"),
        (SchemaKind::Protobuf, "Protobuf"),
    ] {
        writeln!(
            text,
            "\n### {title}\n\n| change | new reads old | old reads new | the registry |\n|---|---|---|---|"
        )
        .expect("a text");
        for case in cases::all().into_iter().filter(|case| case.kind == kind) {
            let word = |is: fn(Compatibility) -> bool| match (is(case.ours.0), is(case.ours.1)) {
                (true, _) => "yes",
                (false, true) => "declared",
                (false, false) => "no",
            };
            let (backward, forward) = (word(is_backward), word(is_forward));
            let registry = match (case.registry, case.why) {
                (_, "") => String::new(),
                (Compatibility::Full, why) => format!("both: {why}"),
                (Compatibility::Backward, why) => format!("new reads old: {why}"),
                (Compatibility::Forward, why) => format!("old reads new: {why}"),
                (Compatibility::None, why) => format!("neither: {why}"),
            };
            writeln!(text, "| {} | {backward} | {forward} | {registry} |", case.change).expect("a text");
        }
    }
    text + "\n"
}

fn is_backward(answer: Compatibility) -> bool {
    matches!(answer, Compatibility::Full | Compatibility::Backward)
}

fn is_forward(answer: Compatibility) -> bool {
    matches!(answer, Compatibility::Full | Compatibility::Forward)
}

/// With `EVENTFERRY_UPDATE=1` the document is written instead.
#[test]
fn the_document_has_every_row() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/evolution.md");
    let document = std::fs::read_to_string(file).expect("the document");
    let (head, rest) = document.split_once("matrix.rs -->\n").expect("where the rows begin");
    let (rows, tail) = rest.split_once("<!-- end of rows").expect("where the rows end");
    let printed = printed();
    if std::env::var_os("EVENTFERRY_UPDATE").is_some_and(|value| value == "1") {
        std::fs::write(file, format!("{head}matrix.rs -->\n{printed}<!-- end of rows{tail}")).expect("the file can be written");
        return;
    }
    assert!(
        rows == printed,
        "docs/evolution.md has other rows; if the change is meant, run with EVENTFERRY_UPDATE=1 and commit it"
    );
}
