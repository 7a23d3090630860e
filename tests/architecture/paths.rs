//! Reads the paths out of Rust source, as far as the guard needs it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Every path of the source that begins with `root::`, without that beginning; groups in braces are taken apart.
pub(crate) fn used(root: &str, code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let start = format!("{root}::");
    for (at, _) in code.match_indices(&start) {
        let before = code[..at].chars().next_back();
        // `mycrate::x` is another word, and the second half of `super::super::x` is read with the first.
        if !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            tree(&mut code[at + start.len()..].chars().peekable(), &mut Vec::new(), &mut found);
        }
    }
    found
}

/// What `lib.rs` re-exports: the name, and the module it comes from.
pub(crate) fn re_exports(lib: &str) -> BTreeMap<String, String> {
    let code = without_comments_and_texts(lib);
    let mut map = BTreeMap::new();
    for (at, found) in code.match_indices("pub use ") {
        let mut paths = Vec::new();
        tree(&mut code[at + found.len()..].chars().peekable(), &mut Vec::new(), &mut paths);
        for path in paths {
            let path: Vec<_> = path.into_iter().filter(|part| part != "crate").collect();
            if let [module, .., name] = path.as_slice() {
                map.insert(name.clone(), module.clone());
            }
        }
    }
    map
}

/// The files, without their extension, and folders of a file's modules that are compiled for tests only.
pub(crate) fn test_modules(file: &Path, source: &str) -> Vec<PathBuf> {
    let is_mod = file.file_stem().is_some_and(|stem| stem == "mod" || stem == "lib");
    let folder = if is_mod { file.with_file_name("") } else { file.with_extension("") };
    let lines: Vec<_> = source.lines().map(str::trim).collect();
    lines
        .windows(2)
        .filter(|pair| pair[0].starts_with("#[cfg(test)]") || pair[0].starts_with("#[cfg(all(test,"))
        .filter_map(|pair| pair[1].strip_prefix("mod ")?.strip_suffix(';'))
        .map(|name| folder.join(name))
        .collect()
}

/// The source without comments, texts, and the tests at its end.
pub(crate) fn code_without_tests(source: &str) -> String {
    let mut code = without_comments_and_texts(source);
    if let Some(at) = code.find("#[cfg(test)]\nmod tests {") {
        code.truncate(at);
    }
    code
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// One tree of a `use`, or the path of an expression: ends at the first thing that is not part of a path.
fn tree(chars: &mut Chars<'_>, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let depth = prefix.len();
    loop {
        skip_space(chars);
        match chars.peek() {
            Some('{') => {
                chars.next();
                loop {
                    tree(chars, prefix, found);
                    // Over `as Name` to the end of this branch.
                    while chars.next_if(|c| !matches!(c, ',' | '}')).is_some() {}
                    if chars.next() != Some(',') {
                        break;
                    }
                }
                break;
            }
            Some('*') => {
                found.push([prefix.as_slice(), &["*".to_owned()]].concat());
                break;
            }
            Some(c) if c.is_alphabetic() || *c == '_' => {
                let mut name = String::new();
                while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    name.push(c);
                }
                prefix.push(name);
                let mut ahead = chars.clone();
                if (ahead.next(), ahead.next()) == (Some(':'), Some(':')) {
                    *chars = ahead;
                } else {
                    // A macro is exported at the root, wherever it is written.
                    let root_macro = prefix.len() == 1 && chars.peek() == Some(&'!');
                    if !root_macro {
                        found.push(prefix.clone());
                    }
                    break;
                }
            }
            // `crate::path::<T>` has ended before its generics; `{}` holds nothing.
            _ => {
                if prefix.len() > depth {
                    found.push(prefix.clone());
                }
                break;
            }
        }
    }
    prefix.truncate(depth);
}

fn skip_space(chars: &mut Chars<'_>) {
    while chars.next_if(|c| c.is_whitespace()).is_some() {}
}

fn without_comments_and_texts(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |at| at + 2)
        } else if c == '"' {
            text_length(rest)
        } else if let Some(hashes) = raw_text(&code, rest) {
            let end = format!("\"{}", "#".repeat(hashes));
            let start = hashes + 2;
            rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len())
        } else if let Some(length) = quoted_char(rest) {
            length
        } else {
            code.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        rest = &rest[skip..];
    }
    code
}

fn text_length(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// How many hashes a raw text has that begins here.
fn raw_text(code: &str, rest: &str) -> Option<usize> {
    let word_goes_on = code
        .chars()
        .next_back()
        .is_some_and(|c| c.is_alphanumeric() && c != 'b' && c != 'c');
    let after = rest.strip_prefix('r').filter(|_| !word_goes_on)?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].starts_with('"').then_some(hashes)
}

/// The length of a character in quotes; a lifetime is none.
fn quoted_char(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    let mut chars = inside.char_indices();
    let (_, first) = chars.next()?;
    if first == '\\' {
        let (skip, _) = chars.next()?;
        let from = skip + 1;
        return inside[from..].find('\'').map(|at| 1 + from + at + 1);
    }
    let (at, second) = chars.next()?;
    (second == '\'').then_some(1 + at + 1)
}
