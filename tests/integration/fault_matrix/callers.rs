//! Callers that hang up, and callers in a hurry.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use zentra_sidecar::simulator::Action;

use super::lab::Lab;
use super::told::{Told, order};

/// Row 5: the work goes on to its end, at every stage, and its end is stored.
#[tokio::test]
async fn a_caller_that_hangs_up_stops_nothing() {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    let other = lab.sidecar().start().await;
    for point in ["before_claim", "after_claim", "before_send", "after_answer", "after_complete"] {
        let launch = lab.sidecar().flag("--lease-seconds", "30");
        let mut sidecar = launch.failpoint(&format!("{point}:wait")).start().await;
        {
            let order = order(point);
            let call = sidecar.charge(&order);
            tokio::pin!(call);
            let reached = async {
                tokio::select! {
                    told = &mut call => panic!("answered: {told:?}"),
                    () = sidecar.reached(point) => {}
                }
            };
            reached.await;
            // Dropped here: the stream is reset, and the process sees that.
        }
        sidecar.release().await;
        lab.until("the charge", |ledger| ledger.charges_of(point).len() == 1).await;
        // It ends in order only once the work is done and stored.
        sidecar.signal("TERM").await;
        assert!(sidecar.ended().await.success());
        let told = other.charge(&order(point)).await;
        told.is_paid("REPLAYED");
        lab.agrees(point, 1, &[&told]);
        assert_eq!((lab.posts(point), lab.look_ups(point)), (1, 0), "{point}");
    }
}

/// Row 6: whatever the deadline, the sidecar's own answer comes before it, with details; and the
/// payment is made once.
#[tokio::test]
async fn every_deadline_is_answered_before_it_is_over() {
    let lab = Lab::start().await;
    let sidecar = lab.sidecar().start().await;
    sidecar.charge(&order("warm-up")).await.is_paid("DIRECT");
    for deadline_ms in [100, 150, 250, 500, 1000, 2000, 5000] {
        let reference = format!("order-{deadline_ms}");
        // Zentra answers long after the caller's time, but for the last.
        lab.next_post(&reference, Action::DelayAfter(Duration::from_millis(2500)));
        let order = order(&reference).within_ms(deadline_ms);
        let began = Instant::now();
        let told = timeout(Duration::from_secs(20), sidecar.charge(&order)).await.unwrap();
        let took = began.elapsed();
        assert!(took < Duration::from_millis(deadline_ms), "{deadline_ms} ms: {took:?}");
        match &told {
            Told::Outcome(_) => assert_eq!(deadline_ms, 5000),
            Told::Error(_) => told.is_unknown(),
            Told::Nothing(code) => panic!("no details at {deadline_ms} ms: {code:?}"),
        }
        let again = sidecar.charge(&order.within_ms(20_000)).await;
        lab.agrees(&reference, 1, &[&told, &again]);
        assert_eq!(lab.posts(&reference), 1);
    }
}
