//! Rows as text. Keys and the values of headers are left out: either may be personal, and no schema tells.

use eventferry::event::headers;
use eventferry::outbox::{Move, Payload, Status};
use eventferry::registry::MaskedPayload;
use eventferry::store::StoredRow;

/// Text from outside, without what a terminal acts upon.
pub(crate) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' {
            clean.extend(c.escape_default());
        } else {
            clean.push(c);
        }
    }
    clean
}

/// A line for each.
pub(crate) fn list(rows: &[StoredRow]) -> String {
    let line = |row: &StoredRow| {
        let event = &row.record;
        let fields = [
            event.id.to_string(),
            event.message_id.to_string(),
            status(event.status).to_owned(),
            event.attempts.to_string(),
            event.topic.clone(),
            format!("{} {}", event.event_type, event.event_version),
            format!("{}/{}", event.aggregate_type, event.aggregate_id),
            row.last_error.clone().unwrap_or_default(),
        ];
        fields.map(|field| one_line(&field)).join("\t") + "\n"
    };
    rows.iter().map(line).collect()
}

/// All there is to say about one.
pub(crate) fn show(row: &StoredRow, payload: &MaskedPayload) -> String {
    let event = &row.record;
    // Its time stands in the message that it becomes.
    let mut bare = event.clone();
    bare.payload = Payload::Tombstone;
    let message = bare.into_message("");
    let mut lines = vec![
        ("number", event.id.to_string()),
        ("message id", event.message_id.to_string()),
        ("status", status(event.status).to_owned()),
        ("event", format!("{} version {}", event.event_type, event.event_version)),
        ("topic", event.topic.clone()),
        ("aggregate", format!("{}/{}", event.aggregate_type, event.aggregate_id)),
        ("written", message.headers().get(headers::EVENT_TIME).unwrap_or_default().to_owned()),
        ("attempts", event.attempts.to_string()),
    ];
    if row.available_at.is_some() {
        lines.push(("due in", format!("{} s", event.due_in.as_secs())));
    }
    lines.extend(row.last_error.iter().map(|error| ("last error", error.clone())));
    for (what, name) in [
        (Move::Requeue, "requeued"),
        (Move::Release, "released"),
        (Move::Discard, "discarded"),
    ] {
        lines.extend(row.trace(what).map(|trace| (name, format!("{} by {}", trace.at, trace.by))));
    }
    lines.extend(
        row.discard_asked()
            .map(|trace| ("asked", format!("to be discarded, {} by {}", trace.at, trace.by))),
    );
    let names = event
        .headers
        .iter()
        .map(|(name, _)| name)
        .filter(|name| !headers::STORED_ONLY.contains(name));
    lines.push(("headers", names.collect::<Vec<_>>().join(", ")));
    lines.push(("content type", event.content_type.clone()));
    lines.push(("payload", payload.to_string()));
    let line = |(name, value): (&str, String)| format!("{name:<14}{}\n", one_line(&value));
    lines.into_iter().map(line).collect()
}

fn one_line(text: &str) -> String {
    clean(text).replace('\n', "\\n")
}

pub(crate) fn status(status: Status) -> &'static str {
    match status {
        Status::Pending => "pending",
        Status::Scheduled => "scheduled",
        Status::Done => "done",
        Status::Failed => "failed",
        Status::Dead => "dead",
        Status::DeadHolding => "held",
        _ => "of a status that is not known here",
    }
}

/// A move's name, and where it begins.
pub(crate) fn begins(what: Move) -> (&'static str, &'static str) {
    match what {
        Move::Requeue => ("requeue", "dead or held"),
        Move::Release => ("release", "held"),
        Move::Discard => ("discard", "dead or held, failed or scheduled"),
    }
}

/// What has become of an event that was moved.
pub(crate) fn became(what: Move, now: Status) -> &'static str {
    match (what, now) {
        (Move::Requeue, Status::Failed) => "requeued in its place, before its successors",
        (Move::Requeue, _) => "requeued by itself: its successors have gone on",
        (Move::Release, _) => "released: it stays dead, and its aggregate goes on",
        (Move::Discard, _) => "discarded: it is never delivered",
    }
}
