//! Whether an exchange may be repeated: a pure function. Silence means no.

use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;

use super::around::Answer;
use super::{Effect, TransportError};
use crate::retry_after::retry_after;

/// What may follow an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It stands as it is.
    Stands,
    /// It may be repeated, after the usual backoff.
    Repeat,
    /// It may be repeated, not before this long.
    RepeatAfter(Duration),
}

/// Judges an exchange.
///
/// A write may be repeated only where Zentra provably did not process it. Doubt about a write is
/// not for this stack: it goes back to the engine, which looks up before it posts again.
pub(super) fn classify(effect: Effect, answer: &Answer, now: Timestamp) -> Verdict {
    let may_repeat = match (effect, answer) {
        // Nothing left this process, or Zentra says that it did not begin.
        (_, Err(TransportError::NotSent)) => true,
        (
            Effect::Read | Effect::LookUp,
            Err(TransportError::TimedOut | TransportError::Broken | TransportError::CutOff { .. }),
        ) => true,
        // Too large it would be again; the others are this process's own decisions.
        (
            _,
            Err(
                TransportError::TimedOut
                | TransportError::Broken
                | TransportError::CutOff { .. }
                | TransportError::TooLarge { .. }
                | TransportError::LeaseOver
                | TransportError::NoTime
                | TransportError::Ending
                | TransportError::CircuitOpen { .. },
            ),
        ) => false,
        (_, Ok(answer)) if answer.status() == StatusCode::TOO_MANY_REQUESTS => true,
        (Effect::Read | Effect::LookUp, Ok(answer)) => {
            let status = answer.status();
            status.is_server_error()
                || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY)
        }
        (Effect::Write, Ok(_)) => false,
    };
    if !may_repeat {
        return Verdict::Stands;
    }
    let asked = answer.as_ref().ok().and_then(|answer| retry_after(answer.headers(), now));
    asked.map_or(Verdict::Repeat, Verdict::RepeatAfter)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Response;

    use super::*;

    const READS: [Effect; 2] = [Effect::Read, Effect::LookUp];

    fn judge(effect: Effect, answer: &Answer) -> Verdict {
        classify(effect, answer, Timestamp::UNIX_EPOCH)
    }

    fn status(code: u16) -> Answer {
        Ok(Response::builder().status(code).body(Bytes::new()).unwrap())
    }

    #[test]
    fn what_was_not_sent_may_be_repeated_whatever_it_does() {
        for effect in [Effect::Write, Effect::Read, Effect::LookUp] {
            assert_eq!(judge(effect, &Err(TransportError::NotSent)), Verdict::Repeat);
            assert_eq!(judge(effect, &status(429)), Verdict::Repeat);
        }
    }

    #[test]
    fn a_doubtful_write_is_never_repeated_here() {
        for answer in [
            Err(TransportError::TimedOut),
            Err(TransportError::Broken),
            Err(TransportError::CutOff { status: StatusCode::OK }),
            Err(TransportError::TooLarge { status: StatusCode::OK, limit_bytes: 1 }),
            Err(TransportError::LeaseOver),
            Err(TransportError::NoTime),
            Err(TransportError::Ending),
            Err(TransportError::CircuitOpen { retry_after: Duration::ZERO }),
        ] {
            assert_eq!(judge(Effect::Write, &answer), Verdict::Stands, "{answer:?}");
        }
        for code in (100..600).filter(|code| *code != 429) {
            assert_eq!(judge(Effect::Write, &status(code)), Verdict::Stands, "{code}");
        }
    }

    #[test]
    fn reads_are_repeated_after_what_passes() {
        for effect in READS {
            let cut_off = TransportError::CutOff { status: StatusCode::OK };
            for fault in [TransportError::TimedOut, TransportError::Broken, cut_off] {
                let answer = Err(fault);
                assert_eq!(judge(effect, &answer), Verdict::Repeat, "{answer:?}");
            }
            for code in [408, 425, 429, 500, 502, 503, 504] {
                assert_eq!(judge(effect, &status(code)), Verdict::Repeat, "{code}");
            }
            for code in [200, 301, 400, 401, 403, 404, 409, 422] {
                assert_eq!(judge(effect, &status(code)), Verdict::Stands, "{code}");
            }
        }
    }

    #[test]
    fn a_readable_retry_after_is_handed_on() {
        let answer = |text: &str| -> Answer {
            let answer = Response::builder().status(429).header("retry-after", text);
            Ok(answer.body(Bytes::new()).unwrap())
        };
        let seconds = |count| Verdict::RepeatAfter(Duration::from_secs(count));
        assert_eq!(judge(Effect::Write, &answer("1")), seconds(1));
        assert_eq!(judge(Effect::Write, &answer("Thu, 01 Jan 1970 00:00:07 GMT")), seconds(7));
        assert_eq!(judge(Effect::Write, &answer("-1")), Verdict::Repeat);
        assert_eq!(judge(Effect::Write, &answer("soon")), Verdict::Repeat);
    }
}
