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
    assert_eq!(told_at_the_end(&engine).await, (Reason::OutcomeUnknown, SECOND));
    assert_eq!(zentra.posts(), 1, "before it was asked to come back nothing is sent");
    assert_eq!(zentra.look_ups(), 0, "a look-up may take longer than there is time");
}

/// Its claim is made in the second half of the time to drain, and nothing has left: another process
/// can make the payment, and clients ask one where they are told to.
#[tokio::test(start_paused = true)]
async fn a_payment_that_has_not_left_by_then_is_sent_elsewhere() {
    let zentra = Zentra::new(|_, _| (201, None));
    let (engine, _) = engine(zentra.clone(), &["--drain-seconds=20"]).await;
    engine.draining().begin();
    sleep(10 * SECOND).await;
    let error = pay(&engine, "order-1", LONG).await.unwrap_err();
    assert_eq!(error.reason(), Reason::ShuttingDown);
    let metadata: Vec<_> = error.metadata().collect();
    assert!(metadata.contains(&("money_moved", "no".to_owned())), "{metadata:?}");
    assert!(metadata.contains(&("sent", "false".to_owned())), "{metadata:?}");
    assert_eq!((zentra.posts(), zentra.look_ups()), (0, 0));
}

/// Whether a reference that is taken is this payment's own is not asked any more either: that takes
/// as long as a try may.
#[tokio::test(start_paused = true)]
async fn a_reference_that_is_taken_is_not_looked_up_by_then() {
    for (after, look_ups) in [(8 * SECOND, 1), (9 * SECOND + SECOND / 2, 0)] {
        let zentra = Zentra::new(|_, _| (409, None));
        *zentra.conflict.lock().unwrap() = "duplicate_reference";
        *zentra.takes.lock().unwrap() = SECOND;
        let (engine, _) = engine(zentra.clone(), &["--drain-seconds=20"]).await;
        engine.draining().begin();
        sleep(after).await;
        let error = pay(&engine, "order-1", LONG).await.unwrap_err();
        assert_eq!(error.reason(), Reason::ReferenceAlreadyUsed);
        let metadata: Vec<_> = error.metadata().collect();
        assert!(metadata.contains(&("money_moved", "unknown".to_owned())), "{metadata:?}");
        assert_eq!((zentra.posts(), zentra.look_ups()), (1, look_ups));
    }
}

/// One that goes on only because its key was refused, or that the engine sends once more, does not
/// begin then.
#[tokio::test(start_paused = true)]
async fn what_is_sent_once_more_does_not_begin_by_then() {
    let zentra = Zentra::new(|_, _| (503, None));
    *zentra.takes.lock().unwrap() = SECOND;
    let (engine, state) = engine(zentra.clone(), &["--drain-seconds=20"]).await;
    engine.draining().begin();
    sleep(9 * SECOND + SECOND / 2).await;
    let error = pay(&engine, "order-1", LONG).await.unwrap_err();
    assert_eq!(error.reason(), Reason::OutcomeUnknown);
    assert_eq!((zentra.posts(), state.budget.repeats()), (1, 0));
}
