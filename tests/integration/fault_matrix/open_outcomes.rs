//! Row 39: a payment that is pending at first, and whoever hears of its end first.
//!
//! In this process, so that the test decides when the reconciler passes.

use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use secrecy::SecretString;
use tonic::transport::Endpoint;
use zentra_sidecar::app::{self, Parts, Running};
use zentra_sidecar::clock::SystemClock;
use zentra_sidecar::config::{ServeArgs, Settings};
use zentra_sidecar::domain::Reference;
use zentra_sidecar::grpc::proto;
use zentra_sidecar::grpc::proto::payment_service_client::PaymentServiceClient;
use zentra_sidecar::idempotency::{Class, Lookup, Namespace, Outcome, Store};
use zentra_sidecar::reconciler::{Pass, Reconciler, ReconcilerSettings};
use zentra_sidecar::telemetry::Telemetry;

use super::lab::{CUSTOMER, KEY, Lab, PATIENCE};
use super::sidecar::money;
use super::told::Told;
use crate::support::redis::open;

#[derive(Parser)]
struct Serve {
    #[command(flatten)]
    args: ServeArgs,
}

/// A sidecar in this process, and a reconciler beside it that works when told to.
struct Inside {
    client: PaymentServiceClient<tonic::transport::Channel>,
    reconciler: Reconciler,
    store: Arc<dyn Store>,
    token: String,
    _running: Running,
}

fn settings(lab: &Lab) -> Settings {
    let keys = lab.folder.path().join("keys");
    let args = Serve::parse_from([
        "serve".to_owned(),
        "--listen=127.0.0.1:0".to_owned(),
        "--admin-listen=127.0.0.1:0".to_owned(),
        "--reconcile-seconds=3600".to_owned(),
        "--store-timeout-ms=5000".to_owned(),
        "--caller=shop/checkout".to_owned(),
        format!("--zentra-url={}", lab.zentra.url()),
        format!("--store={}", lab.store_url),
        format!("--fingerprint-key-file={}", keys.display()),
    ])
    .args;
    let read = Settings::read(&args, Some(SecretString::from(KEY)));
    let mut settings = read.map_err(|faults| faults.to_string()).unwrap();
    // A record is due at once.
    settings.engine.reconcile_after = Duration::ZERO;
    settings
}

impl Inside {
    async fn start(lab: &Lab) -> Self {
        let clock = Arc::new(SystemClock);
        let parts = Parts::of(&settings(lab), Arc::new(SystemClock), Telemetry::quiet()).unwrap();
        let engine = app::engine(&settings(lab), clock.clone(), parts);
        // It leads from before the sidecar is there, whose own would come in between.
        let interval = Duration::from_secs(3600);
        let long = ReconcilerSettings { interval, ..ReconcilerSettings::default() };
        let reconciler = Reconciler::new(engine, long);
        assert!(reconciler.pass_if_leading().await.unwrap().is_some());
        let running = app::start(settings(lab), clock, Telemetry::quiet()).await.unwrap();
        let address = format!("http://{}", running.addresses()[0]);
        let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();
        Self {
            client: PaymentServiceClient::new(channel),
            reconciler,
            store: Arc::new(open(&lab.store_url, "default")),
            token: lab.token.clone(),
            _running: running,
        }
    }

    async fn charge(&self) -> Told {
        let request = proto::ChargeRequest {
            idempotency_key: "key-1".to_owned(),
            reference: "order-1".to_owned(),
            amount: Some(money(1000)),
            customer_id: CUSTOMER.to_owned(),
            payment_token_id: self.token.clone(),
            actor: String::new(),
        };
        let answer = self.client.clone().charge(request).await.map(tonic::Response::into_inner);
        Told::of_charge(answer.map(|answer| (answer.charge, answer.execution)))
    }

    /// The status that Verify tells.
    async fn verify(&self) -> &'static str {
        let request = proto::VerifyRequest { reference: "order-1".to_owned(), wait: None };
        let answer = self.client.clone().verify(request).await.unwrap().into_inner();
        answer.charge.unwrap().status().as_str_name()
    }

    /// A pass that finds something due: how many it resolved, and how many stay open.
    async fn pass(&self) -> (u32, u32) {
        let due = async {
            loop {
                let pass = self.reconciler.pass().await.unwrap();
                if pass != Pass::default() {
                    return (pass.resolved, pass.open);
                }
            }
        };
        tokio::time::timeout(PATIENCE, due).await.unwrap()
    }

    async fn outcome(&self) -> Option<Outcome> {
        let reference = Reference::new("order-1").unwrap();
        let lookup = Lookup::Reference(Namespace::Charge, reference);
        self.store.read(&lookup).await.unwrap().answer.and_then(|record| record.outcome)
    }

    /// Waits for what Verify passes on behind its caller's back.
    async fn until_stored(&self, class: Class, phase: u8) {
        let stored = async {
            while self.outcome().await.is_none_or(|it| (it.class, it.phase) != (class, phase)) {
                // Each look is a round trip to the store, bounded by the patience below.
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, stored).await.unwrap();
    }
}

/// One pass cannot be made; another process need not wait for this one's lease to end.
#[tokio::test]
async fn a_reconciler_whose_pass_failed_makes_way() {
    let lab = Lab::start().await;
    let parts = Parts::of(&settings(&lab), Arc::new(SystemClock), Telemetry::quiet()).unwrap();
    let engine = app::engine(&settings(&lab), Arc::new(SystemClock), parts);
    let [failing, other] =
        [0, 1].map(|_| Reconciler::new(engine.clone(), ReconcilerSettings::default()));
    let due = "{zs:default:simulated}:due";
    lab.redis().ask::<()>(&["SET", due, "no index"]).await;
    assert!(failing.pass_if_leading().await.is_err());
    lab.redis().ask::<()>(&["DEL", due]).await;
    assert!(other.pass_if_leading().await.unwrap().is_some());
}

/// A charge that is pending at Zentra and stored so.
async fn pending() -> (Lab, Inside) {
    let mut lab = Lab::start().await;
    lab.charges_stay_pending().await;
    let inside = Inside::start(&lab).await;
    let told = inside.charge().await;
    assert_eq!((told.outcome().status, told.outcome().path), ("PENDING", "DIRECT"));
    (lab, inside)
}

/// The end: one final state, replayed to the caller, and one POST in all.
async fn is_final(lab: &Lab, inside: &Inside, status: &str) {
    let told = inside.charge().await;
    assert_eq!((told.outcome().status, told.outcome().path), (status, "REPLAYED"));
    lab.agrees("order-1", 1, &[&told]);
    assert_eq!(lab.posts("order-1"), 1);
}

#[tokio::test]
async fn a_pending_payment_ends_by_verify_and_then_the_reconciler() {
    let (lab, inside) = pending().await;
    lab.zentra.advance(Duration::from_secs(5));
    assert_eq!(inside.verify().await, "CHARGE_STATUS_SUCCEEDED");
    inside.until_stored(Class::Succeeded, 1).await;
    let pass = inside.reconciler.pass().await.unwrap();
    assert_eq!(pass, Pass::default(), "nothing is left to do");
    is_final(&lab, &inside, "SUCCEEDED").await;
}

#[tokio::test]
async fn a_pending_payment_ends_by_the_reconciler_and_then_verify() {
    let (lab, inside) = pending().await;
    assert_eq!(inside.pass().await, (0, 1), "still open at Zentra");
    lab.zentra.advance(Duration::from_secs(5));
    assert_eq!(inside.pass().await, (1, 0));
    is_final(&lab, &inside, "SUCCEEDED").await;
    assert_eq!(inside.verify().await, "CHARGE_STATUS_SUCCEEDED");
    is_final(&lab, &inside, "SUCCEEDED").await;
}

/// A look at the charge while it was pending is stored after its end was: it changes nothing.
#[tokio::test]
async fn a_payments_final_state_never_goes_backwards() {
    let (lab, inside) = pending().await;
    lab.zentra.advance(Duration::from_secs(5));
    assert_eq!(inside.pass().await, (1, 0));
    lab.zentra.settle("order-1", "pending", None).unwrap();
    assert_eq!(inside.verify().await, "CHARGE_STATUS_PENDING");
    inside.reconciler.pass().await.unwrap();
    is_final(&lab, &inside, "SUCCEEDED").await;
}

/// A final state moves forward by what a read shows, and stays one payment's.
#[tokio::test]
async fn a_dispute_that_verify_sees_is_replayed() {
    let (lab, inside) = pending().await;
    lab.zentra.advance(Duration::from_secs(5));
    assert_eq!(inside.pass().await, (1, 0));
    lab.zentra.settle("order-1", "disputed", None).unwrap();
    assert_eq!(inside.verify().await, "CHARGE_STATUS_DISPUTED");
    inside.until_stored(Class::Succeeded, 4).await;
    is_final(&lab, &inside, "DISPUTED").await;
}

/// The reconciler finds what the caller never came back for, and only looks.
#[tokio::test]
async fn the_reconciler_ends_an_unknown_payment_and_sends_nothing() {
    let mut lab = Lab::start().await;
    lab.charges_stay_pending().await;
    let inside = Inside::start(&lab).await;
    let late = Duration::from_secs(3600);
    let lost = zentra_sidecar::simulator::Action::LateEffect {
        after: late,
        status: Some(504),
        lock: false,
    };
    lab.next_post("order-1", lost);
    let mut first = lab.sidecar().failpoint("after_answer:kill").start().await;
    first.token.clone_from(&lab.token);
    let order = super::told::order("order-1").key("key-1");
    first.charge(&order).await.is_cut_off();
    first.ended().await;
    Lab::a_lease_passes().await;
    assert_eq!(inside.pass().await, (0, 1), "not found proves nothing");
    lab.zentra.advance(late);
    lab.zentra.advance(Duration::from_secs(5));
    assert_eq!(inside.pass().await, (1, 0));
    assert_eq!(inside.outcome().await.map(|it| it.class), Some(Class::Succeeded));
    lab.agrees("order-1", 1, &[]);
    assert_eq!(lab.posts("order-1"), 1);
}
