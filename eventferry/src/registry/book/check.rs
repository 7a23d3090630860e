//! Goes through a set and its book side by side.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::registry::book::diff::diff;
use crate::registry::book::judge::{Judgement, judge};
use crate::registry::book::page::{Page, belongs, is_payload, needs_version, pages};
use crate::registry::book::{BookError, BookMode, Finding, FindingKind, names, payload};
use crate::registry::{EventSet, Outbox};

const REWRITE: &str = "run the test with `EVENTFERRY_SCHEMAS=write` and commit what it writes";

/// What was found so far, and the files nobody asked for yet.
struct Book {
    folder: PathBuf,
    mode: BookMode,
    files: BTreeSet<String>,
    findings: Vec<Finding>,
    written: Vec<PathBuf>,
}

pub(super) fn check<S: EventSet>(folder: &Path, mode: BookMode) -> Result<Vec<PathBuf>, BookError> {
    let folder = folder.join(names::folder(S::NAME));
    let mut book = Book {
        files: BTreeSet::new(),
        findings: Vec::new(),
        written: Vec::new(),
        folder,
        mode,
    };
    book.run::<S>();
    if book.findings.is_empty() {
        Ok(book.written)
    } else {
        Err(BookError::new(S::NAME, &book.folder, book.findings, book.written))
    }
}

impl Book {
    fn run<S: EventSet>(&mut self) {
        match list(&self.folder) {
            Ok(files) => self.files = files,
            Err(error) => {
                let what = format!("the folder `{}` cannot be read: {error}", self.folder.display());
                return self.found(FindingKind::Unreadable, what, "make it readable");
            }
        }
        let events = match Outbox::<S>::new().and_then(Outbox::checked_decode) {
            Ok(events) => events,
            Err(error) => {
                let (what, source) = (error.to_string(), std::error::Error::source(&error));
                let what = source.map_or(what.clone(), |source| format!("{what}: {source}"));
                return self.found(FindingKind::Unusable, what, "mend the schema");
            }
        };
        let pages = pages::<S>();
        self.collisions(&pages);
        let all: BTreeSet<String> = std::mem::take(&mut self.files);
        let mut own: HashMap<&str, Vec<String>> = HashMap::new();
        for file in all {
            // The longest beginning: an event may be named like another's payload.
            let page = pages
                .iter()
                .filter(|page| belongs(&file, &page.stem))
                .max_by_key(|page| page.stem.len());
            match page {
                Some(page) => own.entry(&page.stem).or_default().push(file),
                None => drop(self.files.insert(file)),
            }
        }
        for page in &pages {
            let files = own.remove(page.stem.as_str()).unwrap_or_default();
            if self.schema(page, &files) {
                self.payloads(page, &files, &events);
            }
        }
        self.left_over(&pages);
    }

    fn found(&mut self, kind: FindingKind, what: impl Into<String>, remedy: impl Into<String>) {
        self.findings.push(Finding::new(kind, what, remedy));
    }

    /// Names that a file system without capitals takes for one.
    fn collisions<S>(&mut self, pages: &[Page<S>]) {
        let mut seen: HashMap<String, &str> = HashMap::new();
        for page in pages {
            if let Some(other) = seen.insert(page.stem.to_lowercase(), &page.stem) {
                let what = format!(
                    "the files of `{}` and of `{other}` are one and the same where capitals do not count",
                    page.stem
                );
                self.findings.push(Finding::new(
                    FindingKind::Collision,
                    what,
                    "give one of the two events another `name`",
                ));
            }
        }
    }

    /// Compares the schema; false where its payloads need no look, because the version itself is in question.
    fn schema<S>(&mut self, page: &Page<S>, files: &[String]) -> bool {
        let (title, extension) = (page.title(), page.extension());
        let name = format!("{}.{extension}", page.stem);
        let other = files.iter().find(|file| **file != name && !is_payload(file, &page.stem));
        if let Some(other) = other {
            let what = format!("{title} is in the book as `{other}`, in another format than the code's");
            self.found(FindingKind::NeedsVersion, what, needs_version(page));
            return false;
        }
        if !files.contains(&name) {
            if self.mode == BookMode::Write {
                self.write(&name, &page.schema.text);
            } else {
                let what = format!("{title} is not in the book: `{name}` is missing");
                self.found(FindingKind::Missing, what, REWRITE);
            }
            return true;
        }
        let Some(committed) = self.read(&name) else { return true };
        let ours = page.schema.text.replace("\r\n", "\n");
        if committed == ours {
            return true;
        }
        let lines = diff(&committed, &ours);
        match judge(&committed, &page.version, &page.schema) {
            Judgement::Compatible(_) if self.mode == BookMode::Write => {
                self.write(&name, &page.schema.text);
                self.add_payload(page, files);
            }
            Judgement::Compatible(how) => {
                let what = format!("{title} changed: {how} (`-` is the book, `+` is the code)");
                self.findings
                    .push(Finding::new(FindingKind::Changed, what, REWRITE).with_diff(lines));
            }
            Judgement::NeedsVersion(why) => {
                let what = format!("{title} changed, and its version did not: {why} (`-` is the book, `+` is the code)");
                let finding = Finding::new(FindingKind::NeedsVersion, what, needs_version(page)).with_diff(lines);
                self.findings.push(finding);
                return false;
            }
        }
        true
    }

    /// Reads every payload of a version as the event it is today; a version without any gets some.
    fn payloads<S: EventSet>(&mut self, page: &Page<S>, files: &[String], events: &Outbox<S>) {
        let (title, extension) = (page.title(), payload::extension(page.kind()));
        let mut kept: Vec<String> = files.iter().filter(|file| is_payload(file, &page.stem)).cloned().collect();
        if kept.is_empty() {
            let name = format!("{}.payload.{extension}", page.stem);
            if self.mode == BookMode::Compare {
                let what = format!("{title} has no payload in the book: `{name}` is missing");
                let remedy = format!("{REWRITE}, or put a payload of that version there by hand");
                return self.found(FindingKind::NoPayload, what, remedy);
            }
            match page.examples() {
                Ok(examples) => {
                    for (label, bytes) in examples {
                        let name = format!("{}.payload{label}.{extension}", page.stem);
                        self.write(&name, &payload::print(extension, &bytes));
                        kept.push(name);
                    }
                }
                Err(why) => {
                    let what = format!("{title} has no payload in the book, and none could be made from its schema: {why}");
                    return self.found(
                        FindingKind::NoPayload,
                        what,
                        format!("put a payload of that version into `{name}` by hand"),
                    );
                }
            }
        }
        for name in kept {
            let Some(text) = self.read(&name) else { continue };
            let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
            let read = payload::parse(extension, &text).and_then(|bytes| page.decode(&bytes, events));
            if let Err(why) = read {
                let what = format!("`{name}` no longer reads as `{}`: {why}", page.entry.name());
                let remedy = "messages like it may be on their way or in a log: mend the type or the `From` that brings it up, and leave \
                              the payload as it is";
                self.found(FindingKind::Undecodable, what, remedy);
            }
        }
    }

    /// Keeps what the schema reads like now beside what it read like before.
    fn add_payload<S>(&mut self, page: &Page<S>, files: &[String]) {
        let extension = payload::extension(page.kind());
        let Some((_, bytes)) = page.examples().ok().and_then(|examples| examples.into_iter().next()) else {
            return;
        };
        let text = payload::print(extension, &bytes);
        let payloads: Vec<_> = files.iter().filter(|file| is_payload(file, &page.stem)).collect();
        let is_new = payloads
            .iter()
            .all(|file| fs::read_to_string(self.folder.join(file)).is_ok_and(|kept| kept != text));
        if !payloads.is_empty() && is_new {
            let name = |number| format!("{}.payload.revision-{number}.{extension}", page.stem);
            let number = (2..=files.len() + 2).find(|number| !files.contains(&name(*number))).unwrap_or(2);
            self.write(&name(number), &text);
        }
    }

    /// What no version of the set asked for.
    fn left_over<S>(&mut self, pages: &[Page<S>]) {
        let mut gone: BTreeMap<(String, u32), Vec<String>> = BTreeMap::new();
        for file in std::mem::take(&mut self.files) {
            if let Some((event, version)) = names::parse(&file) {
                gone.entry((event.to_owned(), version)).or_default().push(file);
            }
        }
        for ((event, version), files) in gone {
            let files = files.iter().map(|file| format!("`{file}`")).collect::<Vec<_>>().join(", ");
            let topics = format!("{event}@");
            if let Some(page) = pages.iter().find(|page| page.event == event) {
                let latest = page.entry.version();
                let what = format!("version {version} of `{event}` is in the book ({files}), and the set no longer reads it");
                let remedy = if version > latest {
                    format!(
                        "the code's latest is version {latest}: a version that was published is never taken back, so go on from {version}"
                    )
                } else {
                    "bring the old type back with `upcast_from`; if no message of that version is left anywhere, delete the files"
                        .to_owned()
                };
                self.found(FindingKind::VersionGone, what, remedy);
            } else if let Some(page) = pages.iter().find(|page| page.event.starts_with(&topics)) {
                let what = format!("{files}: events of that name are on several topics now, and their files say which");
                let remedy = format!(
                    "rename the files so that they begin like `{}`, with the topic they are of",
                    page.stem
                );
                self.found(FindingKind::EventGone, what, remedy);
            } else {
                let what = format!("`{event}` is in the book ({files}), and the set has no such event");
                let remedy = "list the event again; if it is renamed or nobody publishes and reads it any more, delete the files";
                self.found(FindingKind::EventGone, what, remedy);
            }
        }
    }

    /// A file's text, with the line ends that are committed.
    fn read(&mut self, name: &str) -> Option<String> {
        match fs::read_to_string(self.folder.join(name)) {
            Ok(text) => Some(text.replace("\r\n", "\n")),
            Err(error) => {
                let what = format!("`{name}` cannot be read: {error}");
                self.found(FindingKind::Unreadable, what, "make it a readable text file, or delete it");
                None
            }
        }
    }

    /// Writes a file as a whole: beside its place first, and then there.
    fn write(&mut self, name: &str, text: &str) {
        let path = self.folder.join(name);
        let beside = self.folder.join(format!(".{name}.{}", std::process::id()));
        let written = fs::create_dir_all(&self.folder)
            .and_then(|()| fs::write(&beside, text))
            .and_then(|()| fs::rename(&beside, &path));
        match written {
            Ok(()) => self.written.push(path),
            Err(error) => {
                let what = format!("`{name}` cannot be written: {error}");
                self.found(FindingKind::NotWritable, what, "make the folder writable");
            }
        }
    }
}

/// The files of a folder that are not hidden; none where there is no folder yet.
fn list(folder: &Path) -> io::Result<BTreeSet<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        entries => entries?,
    };
    let mut files = BTreeSet::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !entry.file_type()?.is_dir() {
            files.insert(name);
        }
    }
    Ok(files)
}
