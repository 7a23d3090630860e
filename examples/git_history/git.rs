//! What git knows, read twice: once to replay it, once to compare with it.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};

/// A repository's history.
pub(crate) struct History {
    /// From the oldest on; merges come without files, as `git log` shows them.
    pub(crate) commits: Vec<Commit>,
    /// For each path the commits that touched it, by another command of git.
    pub(crate) files: BTreeMap<String, BTreeSet<String>>,
}

/// One commit.
pub(crate) struct Commit {
    pub(crate) hash: String,
    pub(crate) author: String,
    pub(crate) seconds: i64,
    /// What happened to each path.
    pub(crate) files: BTreeMap<String, String>,
}

impl History {
    /// For each author the commits.
    pub(crate) fn authors(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut authors = BTreeMap::<_, BTreeSet<_>>::new();
        for commit in &self.commits {
            authors.entry(commit.author.clone()).or_default().insert(commit.hash.clone());
        }
        authors
    }
}

/// The same rules for what a rename is, whatever the user's settings are.
const RENAMES: [&str; 2] = ["-M50%", "-l1000"];

/// Reads the history of what is checked out.
pub(crate) fn history(repository: &Path) -> Result<History, Box<dyn Error>> {
    let log = git(repository)
        .args([
            "log",
            "--reverse",
            "--name-status",
            "-z",
            "--no-color",
            "--no-show-signature",
            "--no-ext-diff",
            "--encoding=UTF-8",
        ])
        .args(RENAMES)
        .arg("--format=%H%x00%an <%ae>%x00%at")
        .output()?;
    if !log.status.success() {
        return Err(format!(
            "git cannot read `{}`: {}",
            repository.display(),
            String::from_utf8_lossy(&log.stderr).trim()
        )
        .into());
    }
    Ok(History {
        commits: commits(&log.stdout)?,
        files: files(repository)?,
    })
}

fn git(repository: &Path) -> Command {
    let mut git = Command::new("git");
    git.arg("-C")
        .arg(repository)
        .args(["--no-replace-objects", "-c", "log.showRoot=true", "-c", "log.follow=false"]);
    git
}

/// `hash NUL author NUL seconds NUL`, then, for a commit with files, a line break and its changes.
fn commits(log: &[u8]) -> Result<Vec<Commit>, Box<dyn Error>> {
    let mut fields = log.split(|byte| *byte == 0).peekable();
    let mut commits = Vec::new();
    while let Some(hash) = fields.next().filter(|field| !field.is_empty()) {
        let (Some(author), Some(seconds)) = (fields.next(), fields.next()) else {
            return Err("the log of git ends in the middle of a commit".into());
        };
        let mut commit = Commit {
            hash: text(hash),
            author: text(author),
            seconds: std::str::from_utf8(seconds)?.parse()?,
            files: BTreeMap::new(),
        };
        while let Some(change) = fields.next_if(|field| is_change(field)) {
            changed_paths(change, &mut fields, |path, letter| {
                commit.files.entry(path).or_default().push_str(letter);
            });
        }
        commits.push(commit);
    }
    Ok(commits)
}

/// Whether a field is a change, such as `M` or `R087`, and not the hash of the next commit.
fn is_change(field: &[u8]) -> bool {
    let field = field.strip_prefix(b"\n").unwrap_or(field);
    matches!(field, [letter, score @ ..] if b"ACDMRTUX".contains(letter) && score.len() < 4 && score.iter().all(u8::is_ascii_digit))
}

/// Names the path of a change, or both paths of a rename.
fn changed_paths<'a>(change: &[u8], fields: &mut impl Iterator<Item = &'a [u8]>, mut name: impl FnMut(String, &str)) {
    let letter = text(&change.strip_prefix(b"\n").unwrap_or(change)[..1]);
    let paths = if matches!(letter.as_str(), "R" | "C") { 2 } else { 1 };
    for path in fields.take(paths) {
        name(text(path), &letter);
    }
}

/// `hash NUL`, then its changes; merges are left out.
fn files(repository: &Path) -> Result<BTreeMap<String, BTreeSet<String>>, Box<dyn Error>> {
    let mut list = git(repository).args(["rev-list", "HEAD"]).stdout(Stdio::piped()).spawn()?;
    let hashes = list.stdout.take().ok_or("git has no output")?;
    let diff = git(repository)
        .args(["diff-tree", "--stdin", "-r", "--root", "-z", "--name-status"])
        .args(RENAMES)
        .stdin(hashes)
        .stderr(Stdio::inherit())
        .output()?;
    if !list.wait()?.success() || !diff.status.success() {
        return Err("git cannot compare the commits".into());
    }
    let mut files = BTreeMap::<_, BTreeSet<_>>::new();
    let mut hash = String::new();
    let mut fields = diff.stdout.split(|byte| *byte == 0);
    while let Some(field) = fields.next().filter(|field| !field.is_empty()) {
        if is_change(field) {
            changed_paths(field, &mut fields, |path, _| {
                files.entry(path).or_default().insert(hash.clone());
            });
        } else {
            hash = text(field);
        }
    }
    Ok(files)
}

/// Bytes as text, so that different bytes are different texts: names in git need not be UTF-8.
pub(crate) fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', "\\\\"));
        for byte in chunk.invalid() {
            text.extend(["\\x".to_owned(), format!("{byte:02x}")]);
        }
    }
    text
}
