//! What Zentra last said of its rate limit. It is shown, and decides nothing: a 429 delays only
//! the call that it answers.

use std::sync::atomic::{AtomicI64, Ordering};

use http::{HeaderMap, HeaderName};

/// The documented headers.
const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Nothing said yet.
const NONE: i64 = -1;

/// The last answer's `X-RateLimit-*`.
#[derive(Debug)]
pub struct RateLimit {
    limit: AtomicI64,
    remaining: AtomicI64,
    reset_unix_seconds: AtomicI64,
}

impl Default for RateLimit {
    fn default() -> Self {
        let none = || AtomicI64::new(NONE);
        Self { limit: none(), remaining: none(), reset_unix_seconds: none() }
    }
}

impl RateLimit {
    /// Requests that the present window allows.
    #[must_use]
    pub fn limit(&self) -> Option<i64> {
        read(&self.limit)
    }

    /// Requests that are left of it.
    #[must_use]
    pub fn remaining(&self) -> Option<i64> {
        read(&self.remaining)
    }

    /// When the window ends, in seconds of Unix time.
    #[must_use]
    pub fn reset_unix_seconds(&self) -> Option<i64> {
        read(&self.reset_unix_seconds)
    }

    pub(super) fn note(&self, headers: &HeaderMap) {
        for (name, cell) in
            [(LIMIT, &self.limit), (REMAINING, &self.remaining), (RESET, &self.reset_unix_seconds)]
        {
            let text = headers.get(name).and_then(|value| value.to_str().ok());
            if let Some(number) = text.and_then(|text| text.trim().parse::<u32>().ok()) {
                cell.store(i64::from(number), Ordering::Relaxed);
            }
        }
    }
}

fn read(cell: &AtomicI64) -> Option<i64> {
    Some(cell.load(Ordering::Relaxed)).filter(|number| *number != NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_readable_value_stands() {
        let limit = RateLimit::default();
        assert_eq!(
            (limit.limit(), limit.remaining(), limit.reset_unix_seconds()),
            (None, None, None)
        );
        let note = |remaining: &str| {
            let headers = [(LIMIT, "100"), (REMAINING, remaining), (RESET, "1700000000")];
            let headers = headers.map(|(name, value)| (name, value.parse().unwrap()));
            limit.note(&HeaderMap::from_iter(headers));
        };
        note("7");
        note("many");
        assert_eq!((limit.limit(), limit.remaining()), (Some(100), Some(7)));
        assert_eq!(limit.reset_unix_seconds(), Some(1_700_000_000));
    }
}
