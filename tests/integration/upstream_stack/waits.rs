//! Row 21: `Retry-After` is obeyed where there is time, handed on where there is not, and ignored
//! where it cannot be read.

use std::sync::Arc;

use tokio::time::{Instant, sleep};
use zentra_sidecar::upstream::{Effect, TransportError};

use super::{Rig, SECOND, Step, TIME};

/// The tries of a call that is asked to come back like this.
async fn tries(
    status: u16,
    effect: Effect,
    wait: &'static str,
) -> (Result<u16, String>, Vec<u128>) {
    let rig = Rig::new([Step::Asks(status, wait), Step::Status(200)]);
    let answer = rig.exchange(effect, TIME).await.map_err(|error| error.to_string());
    let paid = 10_000 - rig.tokens_left_milli();
    assert_eq!(paid, if rig.tries_ms().len() > 1 { 1000 } else { 0 });
    (answer, rig.tries_ms())
}

#[tokio::test(start_paused = true)]
async fn a_wait_in_seconds_is_obeyed_with_jitter_on_top() {
    for effect in [Effect::Write, Effect::Read] {
        assert_eq!(tries(429, effect, "1").await, (Ok(200), vec![0, 1050]));
    }
    assert_eq!(tries(503, Effect::Read, "2").await, (Ok(200), vec![0, 2050]));
}

/// The clock of the stories stands at 10:00 sharp.
#[tokio::test(start_paused = true)]
async fn a_date_is_obeyed() {
    let (answer, tries) = tries(429, Effect::Write, "Sun, 22 Nov 2026 10:00:07 GMT").await;
    assert_eq!((answer, tries), (Ok(200), vec![0, 7050]));
}

#[tokio::test(start_paused = true)]
async fn a_wait_beyond_the_deadline_is_handed_on_at_once() {
    for wait in ["15", "3600", "99999999999", "Sun, 22 Nov 2026 11:00:00 GMT"] {
        assert_eq!(tries(429, Effect::Write, wait).await, (Ok(429), vec![0]), "{wait}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_as_if_it_were_not_there() {
    for wait in ["-1", "soon", "1.5", "", "Sat, 21 Nov 2026 10:00:00 GMT"] {
        assert_eq!(tries(429, Effect::Write, wait).await, (Ok(200), vec![0, 50]), "{wait}");
    }
}

/// The process is about to end: the caller hears what Zentra asked for, and may go elsewhere.
#[tokio::test(start_paused = true)]
async fn a_long_pause_ends_a_second_after_the_end_of_the_process_began() {
    let rig = Arc::new(Rig::new([Step::Asks(429, "40"), Step::Status(200)]));
    let call = tokio::spawn({
        let rig = rig.clone();
        async move { (rig.exchange(Effect::Write, 60 * SECOND).await, Instant::now()) }
    });
    sleep(5 * SECOND).await;
    rig.draining.begin();
    let began = Instant::now();
    let (answer, at) = call.await.unwrap();
    assert_eq!((answer, at - began), (Ok(429), SECOND));
    assert_eq!(rig.tries_ms(), [0], "before it was asked to come back nothing is sent");
}

#[tokio::test(start_paused = true)]
async fn what_passes_by_itself_is_repeated_while_the_process_drains() {
    let rig = Rig::new([Step::Fails(TransportError::NotSent), Step::Status(200)]);
    rig.draining.begin();
    assert_eq!(rig.exchange(Effect::Write, TIME).await, Ok(200));
    sleep(10 * SECOND).await;
    rig.far.script([Step::Fails(TransportError::NotSent), Step::Status(200)]);
    let answer = rig.exchange(Effect::Write, TIME).await;
    assert_eq!(answer, Err(TransportError::NotSent), "not when half of the time is over");
}
