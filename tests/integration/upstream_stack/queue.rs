//! The limit of requests at Zentra: who is above it waits its turn, as long as it has time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use zentra_sidecar::upstream::{Effect, StackSettings, TransportError};

use super::{Rig, SECOND, Step, TIME};

fn with_places(places: usize, steps: impl IntoIterator<Item = Step>) -> Arc<Rig> {
    let settings = StackSettings { requests_in_flight: places, ..StackSettings::default() };
    Arc::new(Rig::with(&settings, steps))
}

#[tokio::test(start_paused = true)]
async fn those_above_the_limit_wait_their_turn() {
    let rig = with_places(2, [Step::Slow(SECOND)]);
    let calls = (0..5).map(|_| {
        let rig = rig.clone();
        tokio::spawn(async move { rig.exchange(Effect::Write, TIME).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), Ok(200));
    }
    assert_eq!(rig.tries_ms(), [0, 0, 1000, 1000, 2000]);
    assert_eq!(rig.state.places.available_permits(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_has_no_time_left_sends_nothing() {
    let rig = with_places(1, [Step::Slow(9 * SECOND)]);
    let first = tokio::spawn({
        let rig = rig.clone();
        async move { rig.exchange(Effect::Write, TIME).await }
    });
    tokio::task::yield_now().await;
    let began = Instant::now();
    let second = rig.exchange(Effect::Write, SECOND).await;
    assert_eq!((second, began.elapsed()), (Err(TransportError::NoTime), SECOND));
    assert_eq!(first.await.unwrap(), Ok(200));
    assert_eq!(rig.tries_ms(), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_before_a_repeat_takes_nobodys_place() {
    let rig = with_places(1, [Step::Asks(429, "5"), Step::Slow(SECOND)]);
    let first = tokio::spawn({
        let rig = rig.clone();
        async move { rig.exchange(Effect::Write, TIME).await }
    });
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(rig.exchange(Effect::Write, TIME).await, Ok(200));
    assert_eq!(first.await.unwrap(), Ok(200));
    assert_eq!(rig.tries_ms(), [0, 1, 5050]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_gives_its_place_back() {
    let rig = with_places(1, [Step::Hangs, Step::Status(200)]);
    let first = tokio::spawn({
        let rig = rig.clone();
        async move { rig.exchange(Effect::Read, TIME).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(rig.state.places.available_permits(), 0);
    first.abort();
    assert_eq!(rig.exchange(Effect::Read, TIME).await, Ok(200));
}

/// 31 at once, one place: the first is served, the next ten fail.
#[tokio::test(start_paused = true)]
async fn who_waits_while_the_circuit_opens_is_refused_and_sends_nothing() {
    let rig = with_places(1, [Step::Slow(SECOND), Step::Status(503)]);
    let calls = (0..31).map(|_| {
        let rig = rig.clone();
        tokio::spawn(async move { rig.exchange(Effect::Write, TIME).await })
    });
    let mut told = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        told.push(call.await.unwrap());
    }
    let refused = Err(TransportError::CircuitOpen { retry_after: SECOND });
    assert_eq!(told[0], Ok(200));
    assert!(told[1..11].iter().all(|it| *it == Ok(503)), "{told:?}");
    assert!(told[11..].iter().all(|it| *it == refused), "{told:?}");
    assert_eq!(rig.tries_ms().len(), 11);
    assert_eq!(rig.state.places.available_permits(), 1);
}

/// A look-up waits its turn, and is then asked whatever the circuit says.
#[tokio::test(start_paused = true)]
async fn a_look_up_that_waits_while_the_circuit_opens_is_sent() {
    let rig = with_places(1, [Step::Slow(SECOND), Step::Status(503)]);
    let calls = (0..11).map(|_| {
        let rig = rig.clone();
        tokio::spawn(async move { rig.exchange(Effect::Write, TIME).await })
    });
    let calls: Vec<_> = calls.collect();
    tokio::task::yield_now().await;
    let look_up = tokio::spawn({
        let rig = rig.clone();
        async move { rig.exchange(Effect::LookUp, TIME).await }
    });
    for call in calls {
        let _ = call.await.unwrap();
    }
    rig.far.script([Step::Status(200)]);
    assert_eq!(look_up.await.unwrap(), Ok(200));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_place_makes_way_for_the_end_of_the_process() {
    let rig = with_places(1, [Step::Hangs]);
    let first = tokio::spawn({
        let rig = rig.clone();
        async move { rig.exchange(Effect::Write, 60 * SECOND).await }
    });
    tokio::task::yield_now().await;
    rig.draining.begin();
    let began = Instant::now();
    // Of 20 s to drain, half.
    let second = rig.exchange(Effect::Write, 60 * SECOND).await;
    assert_eq!((second, began.elapsed()), (Err(TransportError::Ending), 10 * SECOND));
    first.abort();
}
