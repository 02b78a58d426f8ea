//! Who leads an account's look-ups tells how it stands, also while they take long; who does not
//! tells nothing.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use tokio::time::{Instant, advance, sleep};
use tower::util::BoxCloneSyncService;
use zentra_sidecar::admission::Admitted;
use zentra_sidecar::app::{self, Parts};
use zentra_sidecar::domain::Caller;
use zentra_sidecar::engine::{Engine, Terms};
use zentra_sidecar::reconciler::{Reconciler, ReconcilerSettings};
use zentra_sidecar::telemetry::Telemetry;
use zentra_sidecar::upstream::{TransportError, Upstream};

use crate::lost_claim::command;
use crate::support::sidecar::{self, StandingClock};

/// A lease is three times this.
const INTERVAL: Duration = Duration::from_secs(1);

/// Breaks every POST and never answers a read.
fn hanging_zentra() -> Upstream {
    BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| async move {
        if request.method() == Method::GET {
            std::future::pending::<()>().await;
        }
        Err(TransportError::Broken)
    }))
}

/// Two processes of an account with one unknown payment, which is due.
async fn processes() -> (Engine, [(Reconciler, Telemetry); 2]) {
    let mut settings = sidecar::settings("http://127.0.0.1:1", &[]);
    settings.engine.reconcile_after = Duration::from_secs(1);
    let clock = Arc::new(StandingClock);
    let telemetries = [Telemetry::quiet(), Telemetry::quiet()];
    let parts = telemetries
        .clone()
        .map(|telemetry| Parts::over(hanging_zentra(), &settings, clock.clone(), telemetry));
    let store = parts[0].store.clone();
    store.init().await.unwrap();
    let engines = parts.map(|parts| {
        app::engine(&settings, clock.clone(), Parts { store: store.clone(), ..parts })
    });
    let caller = Caller::new("local").unwrap();
    let answer_by = Instant::now() + Duration::from_millis(100);
    let (terms, place) = (Terms::default(), Admitted::default());
    engines[0].execute(&caller, answer_by, command(), terms, place).await.unwrap_err();
    advance(Duration::from_secs(2)).await;
    let first = engines[0].clone();
    let settings = ReconcilerSettings { interval: INTERVAL, ..ReconcilerSettings::default() };
    let [one, two] = engines.map(|it| Reconciler::new(it, settings));
    let [its, others] = telemetries;
    (first, [(one, its), (two, others)])
}

const AGE: &str = "zentra_sidecar_payments_unknown_oldest_age_seconds";

fn age(telemetry: &Telemetry) -> Option<f64> {
    let text = telemetry.prometheus_text();
    let line = text.lines().find(|line| line.starts_with(&format!("{AGE} ")))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test(start_paused = true)]
async fn while_zentra_hangs_the_leader_goes_on_leading_and_telling() {
    let (_engine, [(one, its), (two, others)]) = processes().await;
    let mut pass = pin!(one.pass_if_leading());
    // Longer than a lease.
    tokio::select! {
        told = &mut pass => panic!("the look-up hangs: {told:?}"),
        () = sleep(INTERVAL * 10) => {}
    }
    assert_eq!(two.pass_if_leading().await, Ok(None), "the lead is renewed");
    assert_eq!(age(&others), None);
    let oldest = age(&its).unwrap();
    assert!((10.0..13.0).contains(&oldest), "counted again meanwhile: {oldest}");
}

#[tokio::test(start_paused = true)]
async fn who_has_lost_the_lead_in_the_midst_of_a_pass_stops_and_tells_nothing() {
    let (engine, [(one, its), (two, others)]) = processes().await;
    let mut pass = pin!(one.pass_if_leading());
    tokio::select! {
        told = &mut pass => panic!("the look-up hangs: {told:?}"),
        () = sleep(Duration::from_secs(1)) => {}
    }
    assert!(age(&its).is_some(), "counted before the pass");
    // The process stands still for longer than the lease, and another takes the lead.
    advance(Duration::from_secs(60)).await;
    let mut others_pass = pin!(two.pass_if_leading());
    tokio::select! {
        biased;
        told = &mut others_pass => panic!("it hangs too: {told:?}"),
        () = tokio::task::yield_now() => {}
    }
    assert_eq!(pass.await, Ok(None));
    assert_eq!(age(&its), None, "an old number would be a lie");
    assert!(age(&others).is_some());
    drop(engine);
}
