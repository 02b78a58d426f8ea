//! The rate limit: a fixed window of one minute, for the whole account.

use jiff::Timestamp;

use super::Response;

/// Shown where nothing is limited, so that the headers are always there.
const GENEROUS: u32 = 1_000_000;
const WINDOW_SECONDS: i64 = 60;

/// Counts requests in the present minute.
#[derive(Clone, Debug, Default)]
pub(crate) struct RateLimit {
    window: i64,
    used: u32,
}

impl RateLimit {
    /// Counts one request; false when it is over the limit (0 never refuses).
    pub(crate) fn take(&mut self, now: Timestamp, per_minute: u32) -> bool {
        self.roll(now);
        self.used = self.used.saturating_add(1);
        per_minute == 0 || self.used <= per_minute
    }

    /// Tells the state of the window in the answer's headers.
    pub(crate) fn describe(&mut self, now: Timestamp, per_minute: u32, response: &mut Response) {
        self.roll(now);
        let limit = if per_minute == 0 { GENEROUS } else { per_minute };
        let reset = self.window.saturating_add(1).saturating_mul(WINDOW_SECONDS);
        for (name, value) in [
            ("x-ratelimit-limit", i64::from(limit)),
            ("x-ratelimit-remaining", i64::from(limit.saturating_sub(self.used))),
            ("x-ratelimit-reset", reset),
        ] {
            response.set(http::HeaderName::from_static(name), value.to_string());
        }
    }

    fn roll(&mut self, now: Timestamp) {
        let window = now.as_second().div_euclid(WINDOW_SECONDS);
        if window != self.window {
            *self = Self { window, used: 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_limit_holds_within_a_minute_and_is_new_in_the_next() {
        let mut limit = RateLimit::default();
        assert!(limit.take(at(60), 2));
        assert!(limit.take(at(119), 2));
        assert!(!limit.take(at(119), 2));
        assert!(limit.take(at(120), 2));

        let mut response = Response::new(200, "text/plain", "");
        limit.describe(at(121), 2, &mut response);
        assert_eq!(response.headers["x-ratelimit-limit"], "2");
        assert_eq!(response.headers["x-ratelimit-remaining"], "1");
        assert_eq!(response.headers["x-ratelimit-reset"], "180");
    }

    #[test]
    fn no_limit_never_refuses() {
        let mut limit = RateLimit::default();
        assert!((0..1000).all(|_| limit.take(at(0), 0)));
    }
}
