//! How long a registry asks to be left alone (RFC 9110, 10.2.3).

use std::time::{Duration, SystemTime};

use hyper::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

/// The time from an answer until the registry wants to be asked again, which it gives in seconds or as a date.
///
/// A date is held against the date of the answer, which is of the same clock, and against ours only where that is missing. One that has passed
/// is no time at all; what is neither a number nor a date is not read.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = text(headers, RETRY_AFTER)?;
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // What is too large for a number is long enough.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    let now = text(headers, DATE)
        .and_then(|date| httpdate::parse_http_date(date).ok())
        .unwrap_or(now);
    Some(until.duration_since(now).unwrap_or_default())
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    /// 1994-11-06 08:49:37, the date of the RFC's examples.
    const EXAMPLE: Duration = Duration::from_secs(784_111_777);

    fn asked(headers: &[(HeaderName, &str)]) -> Option<u64> {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        let now = UNIX_EPOCH + EXAMPLE - Duration::from_secs(100);
        retry_after(&headers, now).map(|wait| wait.as_secs())
    }

    #[test]
    fn seconds_are_read_however_many() {
        for (value, expected) in [
            ("0", 0),
            (" 120 ", 120),
            ("18446744073709551615", u64::MAX),
            ("99999999999999999999999", u64::MAX),
        ] {
            assert_eq!(asked(&[(RETRY_AFTER, value)]), Some(expected), "{value}");
        }
    }

    #[test]
    fn a_date_is_read_in_each_of_its_three_forms_by_our_clock_where_the_answer_has_no_date() {
        for date in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(asked(&[(RETRY_AFTER, date)]), Some(100), "{date}");
            assert_eq!(asked(&[(RETRY_AFTER, date), (DATE, "nonsense")]), Some(100), "{date}");
        }
    }

    #[test]
    fn a_date_is_held_against_that_of_the_answer() {
        let until = (RETRY_AFTER, "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(asked(&[until.clone(), (DATE, "Sun, 06 Nov 1994 08:49:30 GMT")]), Some(7));
        assert_eq!(asked(&[until.clone(), (DATE, "Sun, 06 Nov 1994 08:49:37 GMT")]), Some(0));
        assert_eq!(asked(&[until, (DATE, "Sun, 06 Nov 1994 09:00:00 GMT")]), Some(0));
    }

    #[test]
    fn what_is_neither_is_not_read() {
        for value in [
            "",
            "soon",
            "-1",
            "1.5",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1994 08:49:61 GMT",
        ] {
            assert_eq!(asked(&[(RETRY_AFTER, value)]), None, "{value}");
        }
        assert_eq!(asked(&[]), None);
    }
}
