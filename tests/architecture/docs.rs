//! What is written for people: links lead somewhere, tests and files that are named exist, no code block is left untried, and no feature
//! or header is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::rust_files;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The pages: the path from the root, and the text.
fn pages() -> Vec<(String, String)> {
    let mut pages: Vec<_> = ["README.md", "CONTRIBUTING.md", "examples/README.md"].map(str::to_owned).into();
    for entry in std::fs::read_dir(root().join("docs")).expect("docs can be read") {
        let name = entry.expect("an entry can be read").file_name();
        pages.push(format!("docs/{}", name.to_string_lossy()));
    }
    assert!(pages.len() > 10, "{pages:?}");
    pages.into_iter().map(|page| (page.clone(), read(page))).collect()
}

/// The lines outside of code blocks, and the blocks with the word behind their fence.
fn prose_and_blocks(page: &str) -> (String, Vec<(&str, String)>) {
    let (mut prose, mut blocks, mut open) = (String::new(), Vec::new(), None::<(&str, String)>);
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(language), None) => open = Some((language, String::new())),
            (None, Some((_, block))) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {
                prose.push_str(line);
                prose.push('\n');
            }
        }
    }
    (prose, blocks)
}

/// A heading as the anchor that links to it.
fn anchor(heading: &str) -> String {
    let kept = heading
        .trim()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>().to_lowercase()
}

fn headings(page: &str) -> BTreeSet<String> {
    let (prose, _) = prose_and_blocks(page);
    let lines = prose.lines().filter(|line| line.starts_with('#'));
    lines.map(|line| anchor(line.trim_start_matches('#'))).collect()
}

/// Everything between backticks on one line.
fn quoted(prose: &str) -> impl Iterator<Item = &str> {
    prose.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

#[test]
fn every_link_leads_somewhere() {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for (page, text) in pages() {
        let (prose, _) = prose_and_blocks(&text);
        let folder = Path::new(&page).parent().expect("a page lies in a folder");
        for link in prose.match_indices("](").filter_map(|(at, _)| prose[at + 2..].split_once(')')) {
            let (path, place) = link.0.split_once('#').unwrap_or((link.0, ""));
            if path.contains("://") {
                continue;
            }
            seen += 1;
            let target = if path.is_empty() { PathBuf::from(&page) } else { folder.join(path) };
            if !root().join(&target).exists() {
                wrong.push(format!("{page}: `{}` leads to no file", link.0));
            } else if !place.is_empty() && !headings(&read(&target)).contains(place) {
                wrong.push(format!("{page}: `{}` leads to no heading", link.0));
            }
        }
    }
    assert!(seen > 50, "only {seen} links were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Names of tests are sentences, so a name with that many underscores is a test's; settings of servers are shorter.
#[test]
fn every_test_and_file_that_a_page_names_exists() {
    let mut files = Vec::new();
    for folder in ["tests", "eventferry/src", "examples"] {
        rust_files(&root().join(folder), &mut files);
    }
    let sources: String = files.iter().filter_map(|file| std::fs::read_to_string(file).ok()).collect();
    let (mut wrong, mut tests, mut paths) = (Vec::new(), 0, 0);
    for (page, text) in pages() {
        let (prose, _) = prose_and_blocks(&text);
        for word in quoted(&prose) {
            let name = word.rsplit("::").next().unwrap_or(word);
            if name.matches('_').count() >= 5 && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
                tests += 1;
                if !sources.contains(&format!("fn {name}(")) {
                    wrong.push(format!("{page}: there is no test `{name}`"));
                }
            }
            let is_path = ["tests/", "docs/", "schemas/", "examples/", "eventferry/"]
                .iter()
                .any(|start| word.starts_with(start));
            if is_path && !word.contains(['<', '*', ' ', '…', '{']) {
                paths += 1;
                if !root().join(word).exists() {
                    wrong.push(format!("{page}: there is no file `{word}`"));
                }
            }
        }
    }
    assert!(tests > 30 && paths > 10, "{tests} tests and {paths} paths were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_code_block_is_left_untried() {
    let doctests = read("tests/support/lib.rs") + &read("tests/ui/lib.rs");
    let run = read("tests/stores/postgres/pages.rs") + &read("tests/relay/debezium.rs");
    let mut wrong = Vec::new();
    for (page, text) in pages() {
        let (prose, blocks) = prose_and_blocks(&text);
        let indented: String = prose.lines().filter(|line| line.starts_with("    ")).collect::<Vec<_>>().join("\n");
        wrong.extend(unknown_command(&indented).map(|problem| format!("{page}: an indented line {problem}")));
        for (language, block) in blocks {
            let problem = match language.split(',').next().unwrap_or_default() {
                "rust" if language.contains("ignore") => Some("does not compile: it is ignored"),
                "rust" => (!doctests.contains(&format!("include_str!(\"../../{page}\")"))).then_some("is in no doctest"),
                "sql" | "properties" => (!run.contains(page.as_str())).then_some("is run by no test"),
                "sh" => unknown_command(&block),
                "toml" => unknown_dependency(&block),
                "text" => None,
                _ => Some("is in a language that nothing tries"),
            };
            wrong.extend(problem.map(|problem| format!("{page}: this block {problem}:\n{block}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What follows an option in a line of a shell.
fn option<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split_whitespace().skip_while(|word| *word != name).nth(1)
}

fn unknown_command(block: &str) -> Option<&'static str> {
    let manifests = [read("tests/Cargo.toml"), read("examples/Cargo.toml")].join("\n");
    let members = read("Cargo.lock");
    for line in block.lines().filter(|line| line.contains("cargo ")) {
        for program in [option(line, "--bin"), option(line, "--example")].into_iter().flatten() {
            if !manifests.contains(&format!("name = \"{program}\"")) {
                return Some("runs a program that is not there");
            }
        }
        if option(line, "-p").is_some_and(|package| !members.contains(&format!("name = \"{package}\""))) {
            return Some("names a package that is not there");
        }
    }
    let scripts = block.split_whitespace().map(|word| word.trim_start_matches('\''));
    let missing = scripts
        .filter(|word| word.starts_with("tests/"))
        .any(|word| !root().join(word).exists());
    missing.then_some("runs a script that is not there")
}

/// Features and versions in a manifest for users are those that there are.
fn unknown_dependency(block: &str) -> Option<&'static str> {
    let workspace = read("Cargo.toml");
    let features = features();
    for line in block.lines().filter(|line| line.contains(" = ") && !line.starts_with('#')) {
        let (name, value) = line.split_once(" = ")?;
        if name == "eventferry" {
            let listed = value.split_once("features = [").map_or("", |(_, list)| list);
            let listed = listed.split('"').skip(1).step_by(2);
            if { listed }.any(|feature| !features.contains_key(feature)) {
                return Some("switches on a feature that is not there");
            }
            continue;
        }
        let version = value.split('"').nth(1).unwrap_or_default();
        let ours = workspace.lines().find_map(|line| line.strip_prefix(&format!("{name} = ")));
        let matches = ours
            .and_then(|ours| ours.split('"').nth(1))
            .is_some_and(|ours| ours.starts_with(version));
        if !matches {
            return Some("names a version of a crate that is not ours");
        }
    }
    None
}

/// What a feature brings, with all that it switches on.
fn bring(all: &BTreeMap<&str, Vec<&str>>, feature: &str, into: &mut BTreeSet<String>) {
    for part in &all[feature] {
        if let Some(dependency) = part.strip_prefix("dep:") {
            into.insert(dependency.to_owned());
        } else if !part.contains('/') {
            bring(all, part, into);
        }
    }
}

/// The public features of the library: whether each is on by default, and the crates that it brings.
fn features() -> BTreeMap<String, (bool, BTreeSet<String>)> {
    let manifest = read("eventferry/Cargo.toml");
    let section = manifest.split_once("[features]\n").expect("there are features").1;
    let section = section
        .split_once("\n[")
        .expect("and something behind them")
        .0
        .replace(",\n", ", ")
        .replace("[\n", "[");
    let all: BTreeMap<&str, Vec<&str>> = section
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, list)| (name, list.split('"').skip(1).step_by(2).collect()))
        .collect();
    let public = all.keys().filter(|name| !name.starts_with('_') && **name != "default");
    public
        .map(|name| {
            let mut crates = BTreeSet::new();
            bring(&all, name, &mut crates);
            ((*name).to_owned(), (all["default"].contains(name), crates))
        })
        .collect()
}

#[test]
fn each_feature_is_told_on_the_front_page_and_in_the_readme() {
    let lib = read("eventferry/src/lib.rs");
    let mut told = BTreeMap::new();
    for row in lib.lines().filter_map(|line| line.strip_prefix("//! | `")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        if let [name, default, _, crates, _] = cells.as_slice() {
            let crates: BTreeSet<_> = quoted(crates).map(str::to_owned).collect();
            told.insert(name.trim_end_matches('`').to_owned(), (*default == "yes", crates));
        }
    }
    for (feature, there_is) in features() {
        let of = format!("`{feature}` on the front page of lib.rs, and in the manifest: whether it is on by default, and its crates");
        assert_eq!(told.remove(&feature), Some(there_is), "{of}");
    }
    assert!(told.is_empty(), "features that are not there: {told:?}");

    let readme = read("README.md");
    let table = readme.split_once("## Features").expect("the README tells of features").1;
    let told: BTreeSet<_> = table.lines().filter(|line| line.starts_with("| `")).collect();
    for feature in features().keys() {
        let named = told
            .iter()
            .any(|row| row.split('|').nth(1).is_some_and(|names| names.contains(&format!("`{feature}`"))));
        assert!(named, "the README does not tell of the feature `{feature}`");
    }
}

#[test]
fn each_header_is_told_to_consumers() {
    let source = read("eventferry/src/event/headers.rs");
    let page = read("docs/delivery.md");
    let mut seen = 0;
    for line in source
        .lines()
        .filter(|line| line.starts_with("pub const ") && line.contains(": &str = "))
    {
        let header = line.split('"').nth(1).expect("a name");
        // These stay in the table, which the state machine's page is about; and so does the fingerprint.
        let pages = if header.starts_with("operator-") {
            read("docs/state-machine.md")
        } else {
            page.clone()
        };
        seen += 1;
        assert!(pages.contains(&format!("`{header}`")), "no page tells of the header `{header}`");
    }
    assert!(seen > 20, "{seen} headers were found");
}
