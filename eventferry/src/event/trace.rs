//! W3C Trace Context: the two headers, read as strictly as they are written.

use std::fmt;

/// The most vendor entries a `tracestate` may have.
const STATE_ENTRIES: usize = 32;
/// The most bytes of a `tracestate` that are carried; the recommendation asks for at least this many.
const STATE_BYTES: usize = 512;

/// Which trace an event belongs to: the values of `traceparent` and `tracestate` (W3C Recommendation *Trace Context*).
///
/// A value of this type is always valid. It holds no reference to a tracing library; build it from whatever the service uses.
///
/// # Examples
/// ```
/// use eventferry::event::TraceContext;
///
/// let context = TraceContext::new("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")?.with_state("vendor=1")?;
/// assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
/// assert!(context.is_sampled());
/// assert!(TraceContext::new("00-00000000000000000000000000000000-00f067aa0ba902b7-01").is_err());
/// # Ok::<(), eventferry::event::TraceContextError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    parent: String,
    state: Option<String>,
}

/// Why a trace context was refused.
///
/// # Examples
/// ```
/// let error = eventferry::event::TraceContext::new("00-4bf92f35").unwrap_err();
/// assert!(error.to_string().starts_with("invalid `traceparent`: "));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid `{header}`: {reason}")]
pub struct TraceContextError {
    header: &'static str,
    reason: &'static str,
}

impl TraceContext {
    /// Reads a `traceparent`.
    ///
    /// A version above `00` is read by its first four fields, as the recommendation asks.
    ///
    /// # Errors
    /// [`TraceContextError`] naming the rule that was broken.
    pub fn new(traceparent: impl Into<String>) -> Result<Self, TraceContextError> {
        let parent = traceparent.into();
        match parent_problem(parent.as_bytes()) {
            None => Ok(Self { parent, state: None }),
            Some(reason) => Err(TraceContextError {
                header: "traceparent",
                reason,
            }),
        }
    }

    /// The same context with a `tracestate`; an empty one is left out.
    ///
    /// # Errors
    /// [`TraceContextError`] naming the rule that was broken.
    ///
    /// # Examples
    /// ```
    /// use eventferry::event::TraceContext;
    ///
    /// let context = TraceContext::new("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")?;
    /// assert_eq!(context.clone().with_state("vendor=1")?.tracestate(), Some("vendor=1"));
    /// assert_eq!(context.clone().with_state("")?.tracestate(), None);
    /// assert!(context.with_state("vendor").is_err(), "an entry is a name and a value");
    /// # Ok::<(), eventferry::event::TraceContextError>(())
    /// ```
    pub fn with_state(mut self, tracestate: impl Into<String>) -> Result<Self, TraceContextError> {
        let state = tracestate.into();
        let state = state.trim_matches([' ', '\t']);
        if let Some(reason) = state_problem(state) {
            return Err(TraceContextError {
                header: "tracestate",
                reason,
            });
        }
        self.state = (!state.is_empty()).then(|| state.to_owned());
        Ok(self)
    }

    /// The value of the header `traceparent`.
    pub fn traceparent(&self) -> &str {
        &self.parent
    }

    /// The value of the header `tracestate`.
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The trace, as 32 lower-case hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        &self.parent[3..35]
    }

    /// The span that the event was written in, as 16 lower-case hexadecimal digits.
    pub fn parent_id(&self) -> &str {
        &self.parent[36..52]
    }

    /// Whether the writer recorded the trace.
    pub fn is_sampled(&self) -> bool {
        u8::from_str_radix(&self.parent[53..55], 16).is_ok_and(|flags| flags & 1 == 1)
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parent)
    }
}

fn parent_problem(bytes: &[u8]) -> Option<&'static str> {
    let hex =
        |range: std::ops::Range<usize>| bytes[range.clone()].iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) && !range.is_empty();
    let zero = |range: std::ops::Range<usize>| bytes[range].iter().all(|b| *b == b'0');
    if bytes.len() < 55 {
        return Some("it has fewer than 55 characters");
    }
    if !hex(0..2) || &bytes[..2] == b"ff" {
        return Some("the version is two lower-case hexadecimal digits other than `ff`");
    }
    if bytes[2] != b'-' || bytes[35] != b'-' || bytes[52] != b'-' {
        return Some("its fields are joined by `-`");
    }
    if !hex(3..35) || zero(3..35) {
        return Some("the trace id is 32 lower-case hexadecimal digits, not all zero");
    }
    if !hex(36..52) || zero(36..52) {
        return Some("the parent id is 16 lower-case hexadecimal digits, not all zero");
    }
    if !hex(53..55) {
        return Some("the flags are two lower-case hexadecimal digits");
    }
    match (&bytes[..2], bytes.get(55)) {
        (_, None) => None,
        (b"00", Some(_)) => Some("version 00 has exactly 55 characters"),
        (_, Some(b'-')) if bytes[56..].iter().all(|b| matches!(b, 0x20..=0x7e)) => None,
        (_, Some(_)) => Some("what follows the flags begins with `-` and is printable ASCII"),
    }
}

fn state_problem(state: &str) -> Option<&'static str> {
    if state.len() > STATE_BYTES {
        return Some("it has more than 512 bytes");
    }
    let mut keys = Vec::new();
    for entry in state.split(',').map(|entry| entry.trim_matches([' ', '\t'])) {
        if entry.is_empty() {
            continue;
        }
        let Some((key, value)) = entry.split_once('=') else {
            return Some("each entry is `key=value`");
        };
        if !state_key(key) {
            return Some("a key is lower-case letters, digits and `_-*/`, at most 256, with at most one `@`");
        }
        let printable = value.bytes().all(|b| matches!(b, 0x20..=0x7e) && b != b',' && b != b'=');
        if value.is_empty() || value.len() > 256 || !printable || value.ends_with(' ') {
            return Some("a value is 1 to 256 printable ASCII characters without `,` and `=`");
        }
        if keys.contains(&key) {
            return Some("a key comes twice");
        }
        keys.push(key);
    }
    (keys.len() > STATE_ENTRIES).then_some("it has more than 32 entries")
}

fn state_key(key: &str) -> bool {
    let part = |part: &str, max: usize, digit_first: bool| {
        let first = part.bytes().next();
        part.len() <= max
            && first.is_some_and(|b| b.is_ascii_lowercase() || (digit_first && b.is_ascii_digit()))
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'*' | b'/'))
    };
    match key.split_once('@') {
        None => part(key, 256, true),
        Some((tenant, system)) => part(tenant, 241, true) && part(system, 14, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_good_parent_is_taken_apart() {
        let context = TraceContext::new(GOOD).unwrap();
        assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.parent_id(), "00f067aa0ba902b7");
        assert!(context.is_sampled());
        assert!(!TraceContext::new(GOOD.replace("-01", "-00")).unwrap().is_sampled());
    }

    #[test]
    fn later_versions_are_read_by_their_first_fields() {
        let later = format!("cc{}", &GOOD[2..]);
        assert!(TraceContext::new(later.clone()).is_ok());
        assert!(TraceContext::new(format!("{later}-what-the-future-brings")).is_ok());
        assert!(TraceContext::new(format!("{later}.x")).is_err());
    }

    #[test]
    fn a_bad_parent_is_refused() {
        for bad in [
            String::new(),
            GOOD[..54].to_owned(),
            format!("{GOOD}-"),
            GOOD.to_uppercase(),
            format!("ff{}", &GOOD[2..]),
            GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            GOOD.replace('-', "_"),
            GOOD.replace("-01", "-0g"),
            format!(" {GOOD}"),
            "ä".repeat(28),
        ] {
            assert!(TraceContext::new(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn states_follow_the_grammar() {
        let with = |state: &str| TraceContext::new(GOOD).unwrap().with_state(state);
        for good in [
            "",
            "a=1",
            "a=1,b=2",
            " a=1 , 1x@vendor=0 , ",
            "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
        ] {
            assert!(with(good).is_ok(), "{good}");
        }
        assert_eq!(with("").unwrap().tracestate(), None);
        let many = (0..33).map(|i| format!("k{i}=1")).collect::<Vec<_>>().join(",");
        for bad in [
            "a",
            "A=1",
            "a=",
            "a=1,a=2",
            "a=x=y",
            "a@b@c=1",
            "a@1b=1",
            "=1",
            "a=\u{e4}",
            many.as_str(),
            &"a".repeat(600),
        ] {
            assert!(with(bad).is_err(), "{bad}");
        }
    }
}
