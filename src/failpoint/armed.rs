//! The points of a build with the feature `failpoints`, as the environment arms them.
//!
//! `SIDECAR_FAILPOINT=NAME:ACTION[:NTH]`, several separated by commas. The action is taken the
//! `NTH` time (1 unless given) that the point is reached: `kill` ends the process as `kill -9`
//! does, `stop` halts it until SIGCONT, and `wait` holds that one call until SIGUSR1. Before it
//! is taken, `failpoint NAME reached` stands on standard error.
//!
//! `SIDECAR_RECORD_FORMAT=N` makes this build one that writes records of format `N`. From format 2
//! on it also adds a field to each record that it writes, as a later release may.

use std::io::Write as _;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use signal_hook::consts::{SIGKILL, SIGSTOP};
use signal_hook::low_level::raise;
use tokio::signal::unix::{SignalKind, signal};

use super::Point;

/// What happens at a point.
#[derive(Clone, Copy)]
enum Action {
    Kill,
    Stop,
    Wait,
}

struct Armed {
    point: Point,
    action: Action,
    nth: u32,
    reached: AtomicU32,
}

static ARMED: LazyLock<Vec<Armed>> = LazyLock::new(|| {
    let text = std::env::var("SIDECAR_FAILPOINT").unwrap_or_default();
    let parts = text.split(',').filter(|part| !part.is_empty());
    parts.map(|part| read(part).unwrap_or_else(|| unreadable(part))).collect()
});

fn read(text: &str) -> Option<Armed> {
    let mut words = text.split(':');
    let name = words.next()?;
    let point = POINTS.into_iter().find(|point| point.name() == name)?;
    let action = match words.next()? {
        "kill" => Action::Kill,
        "stop" => Action::Stop,
        "wait" => Action::Wait,
        _ => return None,
    };
    let nth = words.next().map_or(Some(1), |nth| nth.parse().ok())?;
    Some(Armed { point, action, nth, reached: AtomicU32::new(0) })
}

/// A test with a misspelt failpoint must not pass as one without.
fn unreadable(part: &str) -> ! {
    tell(&format!("failpoint {part} is none"));
    std::process::exit(2)
}

const POINTS: [Point; 5] = [
    Point::BeforeClaim,
    Point::AfterClaim,
    Point::BeforeSend,
    Point::AfterAnswer,
    Point::AfterComplete,
];

impl Point {
    fn name(self) -> &'static str {
        match self {
            Self::BeforeClaim => "before_claim",
            Self::AfterClaim => "after_claim",
            Self::BeforeSend => "before_send",
            Self::AfterAnswer => "after_answer",
            Self::AfterComplete => "after_complete",
        }
    }
}

/// Does what the environment asks for at this point.
pub(crate) async fn reach(point: Point) {
    for armed in ARMED.iter().filter(|armed| armed.point == point) {
        if armed.reached.fetch_add(1, Ordering::SeqCst) + 1 != armed.nth {
            continue;
        }
        let line = format!("failpoint {} reached", point.name());
        match armed.action {
            Action::Kill => end(&line, SIGKILL),
            Action::Stop => end(&line, SIGSTOP),
            Action::Wait => {
                // Heard from before the line is written, so that no release is missed.
                let Ok(mut release) = signal(SignalKind::user_defined1()) else {
                    unreadable("wait")
                };
                tell(&line);
                release.recv().await;
            }
        }
    }
}

/// Sends a signal to this very thread: it is acted upon before this returns.
fn end(line: &str, signal: i32) {
    tell(line);
    let _ = raise(signal);
}

fn tell(line: &str) {
    // One write, so that no other line falls in between.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// The record format that this build writes: the usual one, unless the environment asks for
/// another.
pub(crate) fn format_written(usual: u32) -> u32 {
    let asked = std::env::var("SIDECAR_RECORD_FORMAT").ok().and_then(|it| it.parse().ok());
    asked.unwrap_or(usual)
}

/// What a release that writes format 2 adds to the store's scripts, after what they share: the
/// field `later` of each record that it writes, with the state in which it wrote it first.
pub(crate) const LATER_FORMAT: &str = r"
local save_as_before = save
local function save(record, index)
  if tonumber(ARGV[4]) >= 2 then record.later = record.later or record.state end
  save_as_before(record, index)
end
";
