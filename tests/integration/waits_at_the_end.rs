//! Calls that only wait do not put off the end of the process: of its time to drain they have
//! half. On a paused clock.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use zentra_sidecar::engine::Engine;
use zentra_sidecar::error::Reason;

use crate::doubtful_posts::{Zentra, engine, engine_on, pay};

const SECOND: Duration = Duration::from_secs(1);
/// Longer than any of these ends may take.
const LONG: Duration = Duration::from_secs(300);

/// Begins the end between two looks of a call that waits; what a call hears, and how long after that.
async fn told_at_the_end(engine: &Engine) -> (Reason, Duration) {
    let call = tokio::spawn({
        let engine = engine.clone();
        async move { (pay(&engine, "order-1", LONG).await, Instant::now()) }
    });
    sleep(Duration::from_millis(1300)).await;
    assert!(!call.is_finished());
    engine.draining().begin();
    let began = Instant::now();
    let (told, at) = call.await.unwrap();
    (told.unwrap_err().reason(), at - began)
}

/// Another process has the payment, and this one's callers may ask elsewhere.
#[tokio::test(start_paused = true)]
async fn a_duplicate_is_sent_elsewhere() {
    let (other, _) = engine(Zentra::new(|_, _| (409, None)), &[]).await;
    let owner = tokio::spawn({
        let other = other.clone();
        async move { pay(&other, "order-1", LONG).await }
    });
    sleep(SECOND).await;
    let zentra = Zentra::new(|_, _| (201, None));
    let store = Some(other.store().clone());
    let (engine, _) = engine_on(zentra.clone(), &["--drain-seconds=20"], store);
    assert_eq!(told_at_the_end(&engine).await, (Reason::ShuttingDown, 10 * SECOND));
    assert_eq!(zentra.posts(), 0);
    assert!(!owner.is_finished(), "the other process goes on");
}

/// Zentra is at work on the same key for an earlier owner, and goes on to be.
#[tokio::test(start_paused = true)]
async fn a_payment_that_zentra_is_at_work_on_is_unknown() {
    let (engine, _) = engine(Zentra::new(|_, _| (409, None)), &["--drain-seconds=20"]).await;
    assert_eq!(told_at_the_end(&engine).await, (Reason::OutcomeUnknown, 10 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_zentra_asked_for_ends() {
    let zentra = Zentra::new(|_, _| (503, Some("100")));
    let (engine, _) = engine(zentra.clone(), &["--drain-seconds=20"]).await;
    assert_eq!(told_at_the_end(&engine).await, (Reason::OutcomeUnknown, 10 * SECOND));
    assert_eq!(zentra.posts(), 1, "before it was asked to come back nothing is sent");
    assert_eq!(zentra.look_ups(), 0, "a look-up may take longer than there is time");
}
