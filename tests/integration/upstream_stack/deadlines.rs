//! The caller's time: one budget over tries and pauses. A write that runs keeps its own.

use std::time::Duration;

use tokio::time::Instant;
use zentra_sidecar::upstream::{Effect, TransportError};

use super::{Rig, SECOND, Step, TIME};

#[tokio::test(start_paused = true)]
async fn a_repeat_that_could_not_be_answered_in_time_does_not_begin() {
    let rig = Rig::new([Step::Status(503), Step::Status(200)]);
    let time = Duration::from_millis(100);
    assert_eq!(rig.exchange(Effect::Read, time).await, Ok(503));
    assert_eq!((rig.tries_ms(), rig.tokens_left_milli()), (vec![0], 10_000));
    let time = Duration::from_millis(101);
    assert_eq!(rig.exchange(Effect::Read, time).await, Ok(200));
}

#[tokio::test(start_paused = true)]
async fn nothing_begins_after_the_deadline() {
    let rig = Rig::new([Step::Status(200)]);
    for effect in [Effect::Write, Effect::Read, Effect::LookUp] {
        let answer = rig.exchange(effect, Duration::ZERO).await;
        assert_eq!(answer, Err(TransportError::NoTime));
    }
    assert!(rig.tries_ms().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_read_ends_with_its_callers_time() {
    let rig = Rig::new([Step::Hangs]);
    let began = Instant::now();
    let answer = rig.exchange(Effect::Read, SECOND).await;
    assert_eq!((answer, began.elapsed()), (Err(TransportError::TimedOut), SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_write_under_way_keeps_its_own_time() {
    let rig = Rig::new([Step::Slow(9 * SECOND), Step::Hangs]);
    assert_eq!(rig.exchange(Effect::Write, SECOND).await, Ok(200));
    let began = Instant::now();
    let answer = rig.exchange(Effect::Write, SECOND).await;
    assert_eq!((answer, began.elapsed()), (Err(TransportError::TimedOut), 10 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn each_try_of_a_read_has_its_own_time_within_the_callers() {
    let rig = Rig::new([Step::Hangs]);
    let began = Instant::now();
    let answer = rig.exchange(Effect::Read, TIME).await;
    assert_eq!(answer, Err(TransportError::TimedOut));
    assert_eq!(rig.tries_ms(), [0, 10_050]);
    assert_eq!(began.elapsed(), TIME);
}
