//! `docs/state-machine.md` lists every state, and its table of moves is what the code decides.

use std::collections::BTreeMap;

use eventferry::outbox::{Effect, Move, OnDead, Outcome, Status, after_attempt, after_move};

fn document() -> String {
    std::fs::read_to_string(crate::project_file("docs/state-machine.md")).expect("docs/state-machine.md is there")
}

/// The rows of the table whose head begins with `first`, cell by cell.
fn table(document: &str, first: &str) -> Vec<Vec<String>> {
    let head = format!("| {first} |");
    let lines = document.lines().skip_while(|line| !line.starts_with(&head));
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    lines.skip(2).take_while(|line| line.starts_with('|')).map(cells).collect()
}

fn every_status() -> Vec<Status> {
    let codes: Vec<Status> = (0..100).filter_map(Status::from_code).collect();
    assert_eq!(codes.len(), 6);
    codes
}

#[test]
fn every_status_is_listed_with_its_number() {
    let listed: BTreeMap<String, String> = table(&document(), "status")
        .into_iter()
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect();
    let expected: BTreeMap<String, String> = every_status()
        .into_iter()
        .map(|status| (status.code().to_string(), format!("{status:?}")))
        .collect();
    assert_eq!(listed, expected);
}

#[test]
fn only_settled_rows_let_their_successors_go_on() {
    for row in table(&document(), "status") {
        let status = row[0].parse().ok().and_then(Status::from_code).expect("the first cell is a status");
        // A scheduled row has no place in the order, so nobody waits for it though it is not settled.
        let go_on = status.is_settled() || status == Status::Scheduled;
        assert_eq!(row[3].starts_with("go on"), go_on, "{row:?}");
    }
}

#[test]
fn every_move_is_what_the_code_decides() {
    const MOST: u32 = 3;
    let outcomes = [
        Outcome::Delivered,
        Outcome::Refused { attempts: MOST - 1 },
        Outcome::Refused { attempts: MOST },
        Outcome::Rejected,
        Outcome::Unavailable,
    ];
    let mut seen = Vec::new();
    for row in table(&document(), "row") {
        let (name, order) = row[0].split_once(", ").unwrap_or((&row[0], ""));
        let status = every_status()
            .into_iter()
            .find(|status| format!("{status:?}") == name)
            .expect("the row names a status");
        seen.push(status);
        for ordered in [true, false] {
            let fits = match order {
                "ordered" => ordered,
                "unordered" => !ordered,
                // Done and Dead are what they are with a place in the order or without; a holding row always has one.
                _ => ordered || status != Status::DeadHolding,
            };
            if !fits {
                continue;
            }
            for (outcome, cell) in outcomes.iter().zip(&row[1..]) {
                let under = |on_dead| format!("{:?}", after_attempt(status, ordered, *outcome, MOST, on_dead));
                let (go_on, hold) = (under(OnDead::Continue), under(OnDead::Hold));
                let decided = if go_on == hold { go_on } else { format!("{go_on} or {hold}") };
                assert_eq!(*cell, decided, "{}, {outcome:?}", row[0]);
            }
        }
    }
    for status in every_status() {
        assert!(seen.contains(&status), "{status:?} has no row");
    }
}

#[test]
fn every_move_of_a_person_is_what_the_code_decides() {
    let rows = table(&document(), "stands at");
    let named: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    let expected: Vec<String> = every_status().iter().map(|status| format!("{status:?}")).collect();
    assert_eq!(named, expected);
    for (row, status) in rows.iter().zip(every_status()) {
        for (cell, what) in row[1..].iter().zip(Move::ALL) {
            let decided = match after_move(status, what) {
                Effect::To(to) => format!("{to:?}"),
                Effect::Mark => "marked".to_owned(),
                Effect::Refused => "refused".to_owned(),
                effect => panic!("`{effect:?}` is not in the document"),
            };
            assert_eq!(*cell, decided, "{what:?} of a row that is {status:?}");
        }
    }
}
