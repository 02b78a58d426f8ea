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
