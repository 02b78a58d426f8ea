//! The caller's deadline: one budget for the whole call.

use std::time::Duration;

use tokio::time::Instant;
use tonic::metadata::MetadataMap;

use crate::error::{Error, Reason};

/// The header that carries the caller's deadline, as gRPC's HTTP/2 protocol has it.
const HEADER: &str = "grpc-timeout";

/// How deadlines are dealt with.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// Calls with less time than this are refused.
    pub minimum: Duration,
    /// How long before the caller's deadline the answer leaves.
    pub margin: Duration,
    /// The time of a call whose caller gave none.
    pub default: Duration,
}

impl Deadlines {
    /// The moment at which the answer to a call has to leave that arrived at `arrived`. Its message may
    /// have come long after that, of which the caller's time is one.
    ///
    /// # Errors
    /// `DEADLINE_TOO_SHORT`; nothing was sent.
    pub(super) fn answer_by(
        self,
        metadata: &MetadataMap,
        arrived: Instant,
        now: Instant,
    ) -> Result<Instant, Error> {
        let asked = metadata.get(HEADER).and_then(|value| parse(value.to_str().ok()?));
        let Some(asked) = asked else {
            return Ok(now + self.default);
        };
        let left = asked.saturating_sub(now.saturating_duration_since(arrived));
        // Of the least time that a caller may ask for, half may be gone with the message.
        if asked < self.minimum || left < self.minimum / 2 {
            return Err(Error::new(Reason::DeadlineTooShort));
        }
        // The margin is for the way back; a short deadline keeps half of its time for the work.
        let margin = self.margin.min(left / 2);
        Ok(now + (left - margin).min(LONGEST))
    }
}

/// The longest time a call may wait for its answer, whatever its caller asks for.
const LONGEST: Duration = Duration::from_secs(600);
// A connection that is old lets its calls end.
const _: () = assert!(LONGEST.as_secs() < crate::listen::AGE_GRACE.as_secs());

/// At most eight digits and a unit.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINES: Deadlines = Deadlines {
        minimum: Duration::from_millis(100),
        margin: Duration::from_millis(100),
        default: Duration::from_secs(15),
    };

    fn time(header: Option<&str>) -> Option<Duration> {
        time_after(Duration::ZERO, header)
    }

    /// Where the message came so long after the head.
    fn time_after(late: Duration, header: Option<&str>) -> Option<Duration> {
        let mut metadata = MetadataMap::new();
        if let Some(header) = header {
            metadata.insert(HEADER, header.parse().unwrap());
        }
        let arrived = Instant::now();
        let now = arrived + late;
        DEADLINES.answer_by(&metadata, arrived, now).ok().map(|at| at - now)
    }

    #[test]
    fn a_message_that_comes_slowly_takes_its_callers_time() {
        let late = Duration::from_secs(3);
        assert_eq!(time_after(late, Some("5S")), Some(Duration::from_millis(1900)));
        assert_eq!(time_after(late, Some("3100m")), Some(Duration::from_millis(50)));
        assert_eq!(time_after(late, Some("3050m")), Some(Duration::from_millis(25)));
        assert_eq!(time_after(late, Some("3049m")), None);
        assert_eq!(time_after(late, Some("1S")), None);
        assert_eq!(time_after(late, None), Some(Duration::from_secs(15)));
    }

    #[test]
    fn the_answer_leaves_before_the_deadline() {
        assert_eq!(time(Some("5S")), Some(Duration::from_millis(4900)));
        assert_eq!(time(Some("120m")), Some(Duration::from_millis(60)));
        assert_eq!(time(Some("1M")), Some(Duration::from_millis(59_900)));
        assert_eq!(time(Some("99999999H")), Some(LONGEST));
        assert_eq!(time(None), Some(Duration::from_secs(15)));
    }

    #[test]
    fn too_short_a_deadline_is_refused() {
        for header in ["99m", "0S", "99999999n"] {
            assert_eq!(time(Some(header)), None, "{header}");
        }
    }

    #[test]
    fn a_malformed_header_is_as_if_there_were_none() {
        for header in ["", "S", "5", "5s", "-5S", "123456789S", "5 S"] {
            assert_eq!(time(Some(header)), Some(Duration::from_secs(15)), "{header}");
        }
    }
}
