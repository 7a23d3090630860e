//! A book of a set that changes: each change, what is found, and what writing does about it.

#[cfg(feature = "avro")]
mod avro;
mod changes;
mod states;

use std::fs;
use std::path::{Path, PathBuf};

use crate::Outbox;
use crate::registry::EventSet;
use crate::registry::book::tests::states::{
    alike, breaking, first, forgotten, named_like_a_payload, on_two_topics, second, stricter, unguessable,
};
use crate::registry::book::{BookError, BookMode, FindingKind as Kind};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("eventferry-book-{}", uuid::Uuid::now_v7())))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join("shop-event").join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.join("shop-event")).expect("the book is a folder");
        let mut names: Vec<_> = entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).expect("the file is text")
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).expect("the file can be written");
    }

    /// A folder with the book of a set.
    fn of<S: EventSet>(_: S2<S>) -> Self {
        let folder = Self::new();
        folder.write::<S>().expect("a new book can be written");
        folder
    }

    fn compare<S: EventSet>(&self) -> Result<Vec<PathBuf>, BookError> {
        Outbox::<S>::check_book(&self.0, BookMode::Compare)
    }

    fn write<S: EventSet>(&self) -> Result<Vec<PathBuf>, BookError> {
        Outbox::<S>::check_book(&self.0, BookMode::Write)
    }

    /// The kinds of what is found, which is the same when the book may be written.
    fn kinds<S: EventSet>(&self) -> (Vec<Kind>, String) {
        kinds(self.compare::<S>())
    }
}

type S2<S> = std::marker::PhantomData<S>;

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn kinds(checked: Result<Vec<PathBuf>, BookError>) -> (Vec<Kind>, String) {
    match checked {
        Ok(_) => (Vec::new(), String::new()),
        Err(error) => (error.findings().iter().map(super::Finding::kind).collect(), error.to_string()),
    }
}

fn file_names(paths: &[PathBuf]) -> Vec<&str> {
    paths.iter().filter_map(|path: &PathBuf| Path::file_name(path)?.to_str()).collect()
}

const FIRST: S2<first::ShopEvent> = std::marker::PhantomData;
const SECOND: S2<second::ShopEvent> = std::marker::PhantomData;

#[test]
fn a_book_is_begun_by_writing_and_then_agrees() {
    let folder = Folder::new();
    let (found, text) = folder.kinds::<second::ShopEvent>();
    assert_eq!(
        found,
        [
            Kind::Missing,
            Kind::NoPayload,
            Kind::Missing,
            Kind::NoPayload,
            Kind::Missing,
            Kind::NoPayload
        ]
    );
    assert!(
        text.contains("EVENTFERRY_SCHEMAS=write") && text.contains("OrderPlaced.v1.payload.json"),
        "{text}"
    );
    assert!(!folder.0.exists(), "comparing writes nothing");

    let written = folder.write::<second::ShopEvent>().unwrap();
    assert_eq!(
        file_names(&written),
        [
            "OrderPlaced.v1.json",
            "OrderPlaced.v1.payload.json",
            "OrderPlaced.v1.payload.least.json",
            "OrderPlaced.v2.json",
            "OrderPlaced.v2.payload.json",
            "OrderPaid.v1.json",
            "OrderPaid.v1.payload.json",
        ]
    );
    assert_eq!(folder.names().len(), 7, "nothing else is left there: {:?}", folder.names());
    assert_eq!(
        folder.read("OrderPlaced.v1.payload.json"),
        "{\n  \"id\": 1,\n  \"note\": \"note\",\n  \"total\": 1\n}\n"
    );
    assert_eq!(folder.compare::<second::ShopEvent>(), Ok(Vec::new()));
    assert_eq!(folder.write::<second::ShopEvent>(), Ok(Vec::new()), "writing again changes nothing");
}

#[test]
fn line_ends_of_a_checkout_are_no_change() {
    let folder = Folder::of(FIRST);
    for name in folder.names() {
        folder.put(&name, &folder.read(&name).replace('\n', "\r\n"));
    }
    assert_eq!(folder.compare::<first::ShopEvent>(), Ok(Vec::new()));
}

#[test]
fn a_version_without_a_payload_is_found_and_gets_one_by_writing_or_by_hand() {
    let folder = Folder::of(FIRST);
    for name in ["OrderPlaced.v1.payload.json", "OrderPlaced.v1.payload.least.json"] {
        fs::remove_file(folder.file(name)).unwrap();
    }
    let (found, text) = folder.kinds::<first::ShopEvent>();
    assert_eq!(found, [Kind::NoPayload], "{text}");
    folder.put("OrderPlaced.v1.payload.from-production.json", r#"{"id":7,"total":3,"note":null}"#);
    assert_eq!(
        folder.compare::<first::ShopEvent>(),
        Ok(Vec::new()),
        "any payload of the version will do"
    );
}

#[test]
fn a_payload_that_no_longer_reads_is_found_and_never_written_anew() {
    let folder = Folder::of(SECOND);
    let old = r#"{"id":"secret-id","total":1}"#;
    folder.put("OrderPlaced.v1.payload.json", old);
    for mode in [BookMode::Compare, BookMode::Write] {
        let (found, text) = kinds(Outbox::<second::ShopEvent>::check_book(&folder.0, mode));
        assert_eq!(found, [Kind::Undecodable], "{text}");
        assert!(
            text.contains("`OrderPlaced.v1.payload.json` no longer reads as `OrderPlaced`"),
            "{text}"
        );
        assert!(!text.contains("secret"), "{text}");
    }
    assert_eq!(folder.read("OrderPlaced.v1.payload.json"), old);
}

#[test]
fn a_reader_that_takes_less_than_it_did_is_found_where_no_schema_shows_it() {
    let folder = Folder::of(FIRST);
    folder.put("OrderPlaced.v1.payload.large.json", r#"{"id":7,"total":300,"note":null}"#);
    assert_eq!(folder.compare::<first::ShopEvent>(), Ok(Vec::new()));
    let (found, text) = folder.kinds::<stricter::ShopEvent>();
    assert_eq!(found, [Kind::Undecodable], "{text}");
    assert!(text.contains("OrderPlaced.v1.payload.large.json"), "{text}");
}

#[test]
fn a_new_version_is_added_and_the_old_one_stays() {
    let folder = Folder::of(FIRST);
    let before = folder.read("OrderPlaced.v1.json");
    let (found, text) = folder.kinds::<second::ShopEvent>();
    // The first version's own schema is the title of another struct now, and says the same.
    assert!(!found.contains(&Kind::NeedsVersion), "{text}");
    assert!(found.contains(&Kind::Missing) && found.contains(&Kind::NoPayload), "{text}");
    folder.write::<second::ShopEvent>().unwrap();
    assert_eq!(folder.compare::<second::ShopEvent>(), Ok(Vec::new()));
    assert_eq!(folder.read("OrderPlaced.v1.json").replace("OrderPlacedV1", "OrderPlaced"), before);
}

#[test]
fn a_version_that_the_code_forgot_is_found() {
    let folder = Folder::of(FIRST);
    folder.write::<forgotten::ShopEvent>().unwrap_err();
    let (found, text) = folder.kinds::<forgotten::ShopEvent>();
    assert_eq!(found, [Kind::VersionGone], "{text}");
    assert!(
        text.contains("version 1 of `OrderPlaced` is in the book") && text.contains("upcast_from"),
        "{text}"
    );

    let (found, text) = folder.kinds::<first::ShopEvent>();
    assert_eq!(found, [Kind::VersionGone], "{text}");
    assert!(text.contains("never taken back"), "{text}");
}

#[test]
fn an_event_that_the_set_lost_is_found_and_its_files_stay() {
    let folder = Folder::of(SECOND);
    let (found, text) = kinds(folder.write::<first::ShopEvent>());
    assert!(found.contains(&Kind::EventGone) && found.contains(&Kind::VersionGone), "{text}");
    assert!(
        text.contains("`OrderPaid` is in the book (`OrderPaid.v1.json`, `OrderPaid.v1.payload.json`)"),
        "{text}"
    );
    assert!(folder.file("OrderPaid.v1.json").exists());
}

#[test]
fn what_is_no_part_of_a_book_is_left_alone() {
    let folder = Folder::of(FIRST);
    folder.put("README.md", "what this is");
    folder.put(".gitattributes", "* -text");
    fs::create_dir(folder.file("OrderGone.v1.json")).unwrap();
    assert_eq!(folder.compare::<first::ShopEvent>(), Ok(Vec::new()));
}

#[test]
fn events_of_one_name_have_files_of_their_own() {
    let folder = Folder::of(FIRST);
    let (found, text) = folder.kinds::<on_two_topics::ShopEvent>();
    assert_eq!(found.last(), Some(&Kind::EventGone), "{text}");
    assert!(
        text.contains("rename the files so that they begin like `OrderPlaced@orders.v1`"),
        "{text}"
    );
    for name in folder.names() {
        fs::rename(folder.file(&name), folder.file(&name.replace("OrderPlaced", "OrderPlaced@orders"))).unwrap();
    }
    let written = folder.write::<on_two_topics::ShopEvent>().unwrap();
    assert_eq!(
        file_names(&written),
        ["OrderPlaced@archive.v1.json", "OrderPlaced@archive.v1.payload.json"]
    );
    assert_eq!(folder.compare::<on_two_topics::ShopEvent>(), Ok(Vec::new()));
}

#[test]
fn names_that_differ_in_capitals_only_are_found() {
    let (found, text) = kinds(Folder::new().write::<alike::ShopEvent>());
    assert_eq!(found, [Kind::Collision], "{text}");
}

#[test]
fn where_no_payload_can_be_made_a_person_is_asked_for_one() {
    let folder = Folder::new();
    let (found, text) = kinds(folder.write::<unguessable::ShopEvent>());
    assert_eq!(found, [Kind::NoPayload], "{text}");
    assert!(
        text.contains("put a payload of that version into `OrderPlaced.v1.payload.json` by hand"),
        "{text}"
    );
    folder.put("OrderPlaced.v1.payload.json", r#"{"id":"b"}"#);
    assert_eq!(folder.compare::<unguessable::ShopEvent>(), Ok(Vec::new()));
    folder.put("OrderPlaced.v1.payload.json", r#"{"id":"c"}"#);
    assert_eq!(
        folder.kinds::<unguessable::ShopEvent>().0,
        [Kind::Undecodable],
        "the version's schema is asked as well"
    );
}

#[test]
fn a_payload_that_was_made_and_breaks_the_schema_is_not_kept() {
    let folder = Folder::new();
    let (found, text) = kinds(folder.write::<breaking::ShopEvent>());
    assert_eq!(found, [Kind::NoPayload], "{text}");
    assert!(
        text.contains("one that was made breaks it, `/id` has a form the schema forbids"),
        "{text}"
    );
    assert_eq!(folder.names(), ["OrderPlaced.v1.json"]);
}

#[test]
fn an_event_that_is_called_like_a_payload_of_another_keeps_its_files() {
    let folder = Folder::new();
    folder
        .write::<named_like_a_payload::ShopEvent>()
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(folder.compare::<named_like_a_payload::ShopEvent>(), Ok(Vec::new()));
}

#[test]
fn a_damaged_file_is_named() {
    let folder = Folder::of(FIRST);
    fs::write(folder.file("OrderPlaced.v1.payload.json"), b"\xff\xfe").unwrap();
    let (found, text) = folder.kinds::<first::ShopEvent>();
    assert_eq!(found, [Kind::Unreadable], "{text}");
    folder.put("OrderPlaced.v1.json", "{");
    let (found, text) = kinds(folder.write::<first::ShopEvent>());
    assert!(
        found.contains(&Kind::NeedsVersion),
        "a book that cannot be read is not written over: {text}"
    );
    assert_eq!(folder.read("OrderPlaced.v1.json"), "{");
}

#[test]
fn what_cannot_be_written_is_said() {
    let folder = Folder::new();
    fs::write(&folder.0, "a file, not a folder").unwrap();
    let (found, text) = kinds(folder.write::<first::ShopEvent>());
    fs::remove_file(&folder.0).unwrap();
    assert!(
        found.iter().all(|kind| matches!(kind, Kind::Unreadable | Kind::NotWritable)) && !found.is_empty(),
        "{text}"
    );
}
