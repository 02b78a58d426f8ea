//! The header `Retry-After`.

use std::time::Duration;

use http::{HeaderMap, header::RETRY_AFTER};
use jiff::{SpanRelativeTo, Timestamp, fmt::rfc2822};

/// The longest wait that is obeyed or handed on: longer ones are mistakes, or as good as "later".
pub const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// `Retry-After` in seconds or as a date, at most [`LONGEST_WAIT`]. Anything else, a date that is
/// past included, is as if it were not there.
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number too large to be read is longer than the longest wait in any case.
        let seconds = text.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(LONGEST_WAIT));
    }
    let date = rfc2822::parse(text).ok()?.timestamp();
    let wait =
        now.until(date).ok()?.total((jiff::Unit::Second, SpanRelativeTo::days_are_24_hours()));
    wait.ok()
        .filter(|seconds| *seconds >= 0.0)
        .map(|seconds| Duration::from_secs_f64(seconds).min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(text: &str) -> Option<u64> {
        let now: Timestamp = "1994-11-06T08:49:00Z".parse().unwrap();
        let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
        retry_after(&headers, now).map(|it| it.as_secs())
    }

    #[test]
    fn it_is_seconds_or_a_date() {
        assert_eq!(wait("0"), Some(0));
        assert_eq!(wait("1"), Some(1));
        assert_eq!(wait(" 3600 "), Some(3600));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(37));
    }

    #[test]
    fn longer_waits_are_clamped() {
        assert_eq!(wait("3601"), Some(3600));
        assert_eq!(wait("99999999999999999999"), Some(3600));
        assert_eq!(wait("Sat, 06 Nov 2094 08:49:37 GMT"), Some(3600));
    }

    #[test]
    fn garbage_is_as_if_it_were_not_there() {
        for text in ["-1", "soon", "", "1.5", "+1", "1e3", "Sun, 06 Nov 1994 08:48:37 GMT"] {
            assert_eq!(wait(text), None, "{text}");
        }
    }
}
