//! What changed within a version: whether it is compatible, and what writing does about it.

use crate::registry::EventSet;
use crate::registry::book::FindingKind as Kind;
use crate::registry::book::tests::states::{both_ways, defaulted_added, described, first, note_removed, optional_added, required_added};
use crate::registry::book::tests::{FIRST, Folder, file_names, kinds};

/// What is found after a change, and whether the book may be written for it.
fn after<S: EventSet>() -> (Folder, Vec<Kind>, String) {
    let folder = Folder::of(FIRST);
    let (found, text) = folder.kinds::<S>();
    (folder, found, text)
}

#[test]
fn a_description_is_no_change_of_the_contract_but_the_book_says_it_too() {
    let (folder, found, text) = after::<described::ShopEvent>();
    assert_eq!(found, [Kind::Changed], "{text}");
    assert!(
        text.contains("the change is fully compatible") && text.contains("+       \"description\": \"Which order.\""),
        "{text}"
    );
    let written = folder.write::<described::ShopEvent>().unwrap();
    assert_eq!(
        file_names(&written),
        ["OrderPlaced.v1.json"],
        "what is written and read is the same, so no payload is added"
    );
    assert_eq!(folder.compare::<described::ShopEvent>(), Ok(Vec::new()));
}

#[test]
fn a_compatible_change_is_told_and_written_on_request_with_a_payload_of_the_new_form() {
    let (folder, found, text) = after::<optional_added::ShopEvent>();
    assert_eq!(found, [Kind::Changed], "{text}");
    assert!(
        text.contains("`OrderPlaced` version 1 changed: the change is fully compatible"),
        "{text}"
    );
    assert!(
        text.contains("+     \"coupon\": {") && text.contains("EVENTFERRY_SCHEMAS=write"),
        "{text}"
    );
    let kept = folder.read("OrderPlaced.v1.payload.json");
    let written = folder.write::<optional_added::ShopEvent>().unwrap();
    assert_eq!(
        file_names(&written),
        ["OrderPlaced.v1.json", "OrderPlaced.v1.payload.revision-2.json"]
    );
    assert_eq!(folder.read("OrderPlaced.v1.payload.json"), kept, "a payload is kept for ever");
    assert!(folder.read("OrderPlaced.v1.payload.revision-2.json").contains("coupon"));
    assert_eq!(folder.write::<optional_added::ShopEvent>(), Ok(Vec::new()));
}

#[test]
fn a_member_that_readers_may_find_missing_is_compatible_though_it_is_always_written() {
    let (folder, found, text) = after::<defaulted_added::ShopEvent>();
    assert_eq!(found, [Kind::Changed], "{text}");
    assert!(text.contains("fully compatible"), "{text}");
    folder.write::<defaulted_added::ShopEvent>().unwrap();
}

#[test]
fn what_older_readers_cannot_read_is_told_and_decides_nothing() {
    let (folder, found, text) = after::<note_removed::ShopEvent>();
    assert_eq!(found, [Kind::Changed], "{text}");
    assert!(text.contains("the change is backward compatible, not forward compatible"), "{text}");
    assert!(
        text.contains("`/total`") && text.contains("older readers cannot read what is written now"),
        "{text}"
    );
    folder.write::<note_removed::ShopEvent>().unwrap();
    // And back again: what was written without it would not be read.
    let (found, text) = folder.kinds::<first::ShopEvent>();
    assert!(
        found.contains(&Kind::NeedsVersion) && text.contains("forward compatible, not backward compatible"),
        "{text}"
    );
}

#[test]
fn an_incompatible_change_needs_a_version_and_is_never_written() {
    for (folder, change, found, text) in [
        {
            let (folder, found, text) = after::<required_added::ShopEvent>();
            let refused = kinds(folder.write::<required_added::ShopEvent>());
            assert_eq!(refused.0, found, "writing finds the same: {}", refused.1);
            (folder, "forward compatible, not backward compatible", found, text)
        },
        {
            let (folder, found, text) = after::<both_ways::ShopEvent>();
            let refused = kinds(folder.write::<both_ways::ShopEvent>());
            assert_eq!(refused.0, found, "writing finds the same: {}", refused.1);
            (folder, "not compatible", found, text)
        },
    ] {
        assert_eq!(found, [Kind::NeedsVersion], "{text}");
        assert!(text.contains(&format!("the change is {change}")), "{text}");
        assert!(text.contains("what was written before is not read any more"), "{text}");
        assert!(text.contains("`version = 2, upcast_from = ..`"), "{text}");
        assert_eq!(folder.compare::<first::ShopEvent>(), Ok(Vec::new()), "the book is as it was");
    }
}
