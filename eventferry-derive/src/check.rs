//! Rules between attributes: one function for each.

use syn::Data;

use crate::ctxt::Ctxt;
use crate::format;
use crate::model::{Event, Source};

pub(crate) fn event(ctxt: &Ctxt, event: &Event<'_>) {
    is_no_union(ctxt, event);
    has_names(ctxt, event);
    has_aggregate_id(ctxt, event);
    for (sources, name) in [
        (&event.aggregate_id, "aggregate_id"),
        (&event.key, "key"),
        (&event.partition, "partition"),
    ] {
        comes_from_one_place(ctxt, sources, name);
    }
    for source in event.aggregate_id.iter().chain(&event.key) {
        is_not_optional(ctxt, source);
    }
    headers_differ(ctxt, event);
    version_counts_from_one(ctxt, event);
    view_leaves_the_rest_to_its_event(ctxt, event);
    format::has_its_file(ctxt, event);
    format::avro_has_its_integers(ctxt, event);
}

fn is_no_union(ctxt: &Ctxt, event: &Event<'_>) {
    if let Data::Union(data) = &event.input.data {
        ctxt.error(data.union_token, "a union cannot be an event: make it a struct or an enum");
    }
}

fn has_names(ctxt: &Ctxt, event: &Event<'_>) {
    if event.view_of.is_some() || event.has_unknown || ctxt.mentions("view_of") {
        return;
    }
    let given = |name: &str| event.owned_by_listed.iter().any(|one| one == name);
    let missing: Vec<_> = [("topic", "topic = \"…\""), ("aggregate_type", "aggregate_type = \"…\"")]
        .into_iter()
        .filter(|(name, _)| !given(name) && !ctxt.mentions(name))
        .collect();
    if missing.is_empty() {
        return;
    }
    let names: Vec<_> = missing.iter().map(|(name, _)| name.replace('_', " ")).collect();
    let fix: Vec<_> = missing.iter().map(|(_, fix)| *fix).collect();
    ctxt.error(
        &event.input.ident,
        format_args!("no {}: add `#[outbox({})]` to the type", names.join(" and no "), fix.join(", ")),
    );
}

fn has_aggregate_id(ctxt: &Ctxt, event: &Event<'_>) {
    let is_tried = event.has_unknown || ctxt.mentions("aggregate_id");
    if event.aggregate_id.is_empty() && !is_tried && !matches!(event.input.data, Data::Union(_)) {
        let fix = match &event.input.data {
            Data::Struct(_) => "put `#[outbox(aggregate_id)]` on a field, or `#[outbox(aggregate_id = self.…)]` on the type",
            Data::Enum(_) | Data::Union(_) => "put `#[outbox(aggregate_id = self.…)]` on the type",
        };
        ctxt.error(&event.input.ident, format_args!("no aggregate id: {fix}"));
    }
}

fn comes_from_one_place(ctxt: &Ctxt, sources: &[Source<'_>], name: &str) {
    let [first, second, ..] = sources else { return };
    let text = match (first, second) {
        (Source::Field { .. }, Source::Field { .. }) => {
            format!("`#[outbox({name})]` is on two fields; keep one, or set `{name} = self.…` on the struct")
        }
        (Source::Expr { .. }, _) | (_, Source::Expr { .. }) => {
            format!("`{name}` is given twice, on the type and on a field; keep one")
        }
    };
    ctxt.error(second.attr(), text);
}

fn is_not_optional(ctxt: &Ctxt, source: &Source<'_>) {
    if let Source::Field { attr, ty, .. } = source
        && source.is_optional()
    {
        let text = format!(
            "`{attr}` cannot be optional: every event has one. Say what stands for none, as in `{attr} = self.….as_deref().unwrap_or(\"none\")` on the type"
        );
        ctxt.error(ty, text);
    }
}

fn headers_differ(ctxt: &Ctxt, event: &Event<'_>) {
    for (at, (header, _)) in event.headers.iter().enumerate() {
        let is_again = event.headers[..at]
            .iter()
            .any(|(other, _)| other.literal.is_some() && other.literal == header.literal);
        if is_again && let Some(name) = &header.literal {
            ctxt.error(&header.tokens, format_args!("header `{name}` is set by two fields; keep one"));
        }
    }
}

fn version_counts_from_one(ctxt: &Ctxt, event: &Event<'_>) {
    if let Some(version) = &event.version
        && let Some(number) = &version.literal
    {
        match number.parse::<i64>() {
            Ok(1..=0x7fff_ffff) => {}
            Ok(0) => ctxt.error(&version.tokens, "versions count from 1"),
            Ok(_) | Err(_) => ctxt.error(&version.tokens, "a version is a number from 1 to 2147483647"),
        }
    }
}

fn view_leaves_the_rest_to_its_event(ctxt: &Ctxt, event: &Event<'_>) {
    if event.view_of.is_some() {
        for name in &event.owned_by_listed {
            ctxt.error(name, format_args!("a view has the `{name}` of the event it is of; remove it here"));
        }
    }
}
