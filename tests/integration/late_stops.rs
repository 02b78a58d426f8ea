//! A stop that an operator sets while a payment is under way: what has left goes on to its end, what is
//! looked up is not sent again. On a paused clock.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use zentra_sidecar::admission::{Admission, AdmissionSettings, Admitted};
use zentra_sidecar::domain::{Actor, Caller, Operation, Reason as Why, Reference};
use zentra_sidecar::engine::{Engine, Terms};
use zentra_sidecar::error::{Error, Reason};
use zentra_sidecar::idempotency::{SetStop, SetStopAnswer, Stop, StopScope};

use crate::doubtful_posts::{Zentra, charge, engine, pay};

const SECOND: Duration = Duration::from_secs(1);

async fn stop(engine: &Engine, operation: Operation) {
    let stop = Stop {
        id: Reference::new("stop-1").unwrap(),
        scope: StopScope { operation: Some(operation), ..StopScope::default() },
        reason: Why::new("a drill").unwrap(),
        by: Actor::new("jo").unwrap(),
        since_ms: 0,
        until_ms: None,
    };
    let answer = engine.store().stop(&SetStop { stop, for_ms: None }).await.unwrap().answer;
    assert_eq!(answer, SetStopAnswer::Stopped);
}

/// A charge that has a minute, as its caller waits for it.
fn pays(engine: &Engine, admitted: Admitted) -> JoinHandle<Result<u32, Error>> {
    let engine = engine.clone();
    tokio::spawn(async move {
        let (caller, answer_by) = (Caller::new("local").unwrap(), Instant::now() + 60 * SECOND);
        let (payment, terms) = (charge("order-1"), Terms::default());
        let told = engine.execute(&caller, answer_by, payment, terms, admitted).await;
        told.map(|it| it.execution.attempts)
    })
}

/// Zentra asks for a pause of five seconds after doubt.
fn doubtful_once() -> Arc<Zentra> {
    Zentra::new(|number, _| if number == 0 { (503, Some("5")) } else { (201, None) })
}

#[tokio::test(start_paused = true)]
async fn what_was_doubtful_is_looked_up_and_not_sent_again() {
    let zentra = doubtful_once();
    let (engine, _) = engine(zentra.clone(), &[]).await;
    let told = pays(&engine, Admitted::default());
    sleep(SECOND).await;
    assert_eq!(zentra.posts(), 1, "it pauses after doubt");
    stop(&engine, Operation::Charge).await;
    let error = told.await.unwrap().unwrap_err();
    assert_eq!(error.reason(), Reason::OutcomeUnknown);
    assert_eq!(error.for_operator(), "stop-1 covers it: it was looked up, and not sent");
    assert_eq!((zentra.posts(), zentra.look_ups()), (1, 1));
    engine.store().resume(None).await.unwrap();
    assert_eq!(pay(&engine, "order-1", 60 * SECOND).await.unwrap(), 2, "it is lifted");
}

#[tokio::test(start_paused = true)]
async fn a_stop_of_something_else_keeps_nothing_back() {
    let zentra = doubtful_once();
    let (engine, _) = engine(zentra.clone(), &[]).await;
    let told = pays(&engine, Admitted::default());
    sleep(SECOND).await;
    stop(&engine, Operation::Refund).await;
    assert_eq!(told.await.unwrap().unwrap(), 2);
    assert_eq!(zentra.posts_ms(), [0, 5000]);
}

/// A recovery whose place comes late.
#[tokio::test(start_paused = true)]
async fn a_recovery_that_has_waited_for_a_place_obeys_the_stop_of_meanwhile() {
    for is_stopped in [true, false] {
        let zentra = Zentra::new(|number, _| match number {
            0 => (503, Some("3600")),
            _ => (201, None),
        });
        let (engine, _) = engine(zentra.clone(), &[]).await;
        pay(&engine, "order-1", 60 * SECOND).await.unwrap_err();
        let door = Admission::new(AdmissionSettings { in_flight: 1, waiting: 1 });
        let admitted = door.enter().unwrap();
        admitted.waits();
        let other = door.enter().unwrap();
        let recovers = pays(&engine, admitted);
        sleep(SECOND).await;
        assert_eq!(zentra.look_ups(), 0, "it has no place yet");
        if is_stopped {
            stop(&engine, Operation::Charge).await;
        }
        drop(other);
        let told = recovers.await.unwrap().map_err(|error| error.reason());
        let wanted = if is_stopped { Err(Reason::OutcomeUnknown) } else { Ok(2) };
        assert_eq!(told, wanted);
        assert_eq!((zentra.posts(), zentra.look_ups()), (told.unwrap_or(1) as usize, 1));
    }
}

/// What has left is not called back, and is told as it ends.
#[tokio::test(start_paused = true)]
async fn a_payment_that_has_left_goes_on_to_its_end() {
    let zentra = Zentra::new(|_, _| (201, None));
    *zentra.takes.lock().unwrap() = 5 * SECOND;
    let (engine, _) = engine(zentra.clone(), &[]).await;
    let told = pays(&engine, Admitted::default());
    sleep(SECOND).await;
    assert_eq!(zentra.posts(), 1);
    stop(&engine, Operation::Charge).await;
    assert_eq!(told.await.unwrap().unwrap(), 1);
}
