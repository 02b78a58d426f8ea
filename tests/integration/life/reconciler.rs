//! The end of the reconciler.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tower::util::BoxCloneSyncService;
use zentra_sidecar::admission::Admitted;
use zentra_sidecar::app::{self, Parts};
use zentra_sidecar::domain::{
    Caller, ChargeCommand, Currency, CustomerId, IdempotencyKey, Initiator, Money, PaymentTokenId,
    Reference,
};
use zentra_sidecar::engine::Engine;
use zentra_sidecar::engine::Terms;
use zentra_sidecar::reconciler::Reconciler;
use zentra_sidecar::shutdown::Draining;
use zentra_sidecar::telemetry::Telemetry;
use zentra_sidecar::upstream::{TransportError, Upstream};

use crate::support::sidecar::{self, StandingClock};

/// Breaks every POST and never answers a read, but tells of each.
fn hanging_zentra(read: Arc<Notify>) -> Upstream {
    BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
        let read = read.clone();
        async move {
            if request.method() == Method::GET {
                read.notify_one();
                std::future::pending::<()>().await;
            }
            Err(TransportError::Broken)
        }
    }))
}

fn charge() -> ChargeCommand {
    ChargeCommand {
        idempotency_key: IdempotencyKey::new("key-1").unwrap(),
        reference: Reference::new("order-1").unwrap(),
        amount: Money::new(50_000, Currency::new("NGN").unwrap()).unwrap(),
        customer_id: CustomerId::new("cus_1").unwrap(),
        payment_token_id: PaymentTokenId::new("tok_1").unwrap(),
        initiator: Initiator::Customer,
        actor: None,
    }
}

async fn leaves_a_payment_unknown(engine: &Engine) {
    let caller = Caller::new("local").unwrap();
    let answer_by = Instant::now() + Duration::from_secs(15);
    let told =
        engine.execute(&caller, answer_by, charge(), Terms::default(), Admitted::default()).await;
    told.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_hangs_does_not_put_off_the_end() {
    let read = Arc::new(Notify::new());
    let settings = sidecar::settings("http://127.0.0.1:1", &[]);
    let interval = settings.reconciler;
    let parts = Parts::over(
        hanging_zentra(read.clone()),
        &settings,
        Arc::new(StandingClock),
        Telemetry::quiet(),
    );
    parts.store.init().await.unwrap();
    let engine = app::engine(&settings, Arc::new(StandingClock), parts);
    leaves_a_payment_unknown(&engine).await;
    // The engine's own look-up was told of too.
    read.notified().await;

    let draining = Draining::default();
    let running = tokio::spawn(Reconciler::new(engine, interval).run(draining.clone()));
    timeout(Duration::from_secs(120), read.notified()).await.expect("the reconciler looks");
    draining.begin();
    let began = Instant::now();
    running.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}
