//! Checks of constants while a program is compiled; each fails at its caller, which a macro puts where the user's mistake is.

use crate::event::headers::header_problem;
use crate::event::names::{label_problem, topic_problem};

/// Fails to compile where a topic has a name it may not have.
///
/// # Panics
/// On that mistake.
#[track_caller]
pub const fn check_topic(name: &str) {
    if let Some(problem) = topic_problem(name) {
        panic!("{}", problem);
    }
}

/// Fails to compile where an event or an aggregate type has a name it may not have.
///
/// # Panics
/// On that mistake.
#[track_caller]
pub const fn check_label(name: &str) {
    if let Some(problem) = label_problem(name) {
        panic!("{}", problem);
    }
}

/// Fails to compile where a header has a name it may not have.
///
/// # Panics
/// On that mistake.
#[track_caller]
pub const fn check_header(name: &str) {
    if let Some(problem) = header_problem(name) {
        panic!("{}", problem);
    }
}

/// Fails to compile where a version is not one.
///
/// # Panics
/// On that mistake.
#[track_caller]
pub const fn check_version(version: u32) {
    assert!(version > 0, "versions count from 1");
    // The table holds the version as a signed number of 32 bits.
    assert!(version <= i32::MAX as u32, "a version is at most 2147483647");
}

/// Fails to compile where the version before this one is of another event, or not before it.
///
/// # Panics
/// On that mistake.
#[track_caller]
pub const fn check_upcast(name: &str, version: u32, from_name: &str, from_version: u32) {
    assert!(
        same(name, from_name),
        "both versions of an event have the same name: set `name` on the older one"
    );
    assert!(from_version < version, "an older version has a lower `version`");
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}
