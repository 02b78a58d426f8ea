//! Row 28: SIGTERM under load. Nothing is lost, nothing is done twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tonic::Request;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use zentra_sidecar::grpc::proto;
use zentra_sidecar::grpc::proto::payment_service_client::PaymentServiceClient;
use zentra_sidecar::simulator::{Action, Fault, Route};

use super::lab::{CUSTOMER, Lab, PATIENCE};
use super::sidecar::money;
use super::told::{Told, order};
use super::traces::{CHARGE, traced};
use crate::support::process::get;
use crate::support::rotel::Rotel;

const RESTARTS: usize = 200;
const CALLERS: usize = 16;
/// Payments between two restarts, at least.
const PAYMENTS_BETWEEN: usize = 5;
/// Of so many restarts one comes while Zentra is slow.
const SLOW_RESTARTS: usize = 20;
/// How slow: longer than connections without a call are given at the end.
const SLOW: Duration = Duration::from_millis(500);
/// Of so many payments one has a caller that hangs up, and when it does.
const HASTY_PAYMENTS: usize = 7;
const HASTE: Duration = Duration::from_millis(5);

/// What the callers share.
struct Load {
    address: String,
    token: String,
    paid: watch::Sender<usize>,
    stop: AtomicBool,
}

impl Load {
    fn request(&self, reference: &str) -> Request<proto::ChargeRequest> {
        let mut request = Request::new(proto::ChargeRequest {
            idempotency_key: format!("key-{reference}"),
            reference: reference.to_owned(),
            amount: Some(money(1000)),
            customer_id: CUSTOMER.to_owned(),
            payment_token_id: self.token.clone(),
            actor: String::new(),
        });
        request.set_timeout(Duration::from_secs(5));
        request
    }
}

/// Makes one payment after the other, each under its own key until it is made; tells the ids.
async fn caller(load: Arc<Load>, number: usize) -> Vec<(String, String)> {
    let channel = Endpoint::from_shared(load.address.clone()).unwrap().connect_lazy();
    let mut client = PaymentServiceClient::new(channel);
    let mut made = Vec::new();
    while !load.stop.load(Ordering::Relaxed) {
        let reference = format!("caller-{number}-{}", made.len());
        let is_hasty = made.len() % HASTY_PAYMENTS == 0;
        if is_hasty {
            let _ = timeout(HASTE, client.charge(load.request(&reference))).await;
        }
        let id = loop {
            let answer = client.charge(load.request(&reference)).await;
            let answer = answer.map(tonic::Response::into_inner);
            match Told::of_charge(answer.map(|it| (it.charge, it.execution))) {
                Told::Outcome(outcome) => {
                    assert_eq!((outcome.status, outcome.posts), ("SUCCEEDED", 1));
                    // The end waits for each payment and for its answer; for one whose caller has
                    // hung up, until it is stored. Nothing is left to be recovered.
                    let is_told = outcome.path == "DIRECT";
                    let is_stored = is_hasty && outcome.path == "REPLAYED";
                    assert!(is_told || is_stored, "{outcome:?}");
                    break outcome.id;
                }
                Told::Error(fault) => assert_eq!(fault.reason, "SHUTTING_DOWN"),
                // The connection is gone.
                Told::Nothing(_) => {}
            }
            // As a client does between two tries.
            sleep(Duration::from_millis(10)).await;
        };
        made.push((reference, id));
        load.paid.send_modify(|count| *count += 1);
    }
    made
}

/// Returns once a payment is under way whose answer takes long.
async fn zentra_is_slow(lab: &Lab) {
    lab.zentra.clear_faults();
    lab.zentra.inject(Fault::on(Route::CreateCharge, Action::DelayAfter(SLOW)).times(4));
    lab.until("a slow charge", |ledger| ledger.faults.iter().any(|it| it.fired > 0)).await;
}

#[tokio::test]
async fn two_hundred_restarts_under_load_lose_and_double_nothing() {
    let lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let (paid, mut progress) = watch::channel(0);
    let load = Arc::new(Load {
        address: format!("http://{address}"),
        token: lab.token.clone(),
        paid,
        stop: AtomicBool::new(false),
    });
    let callers: Vec<_> =
        (0..CALLERS).map(|number| tokio::spawn(caller(load.clone(), number))).collect();
    let flags =
        [("--listen", address.as_str()), ("--drain-seconds", "10"), ("--lease-seconds", "3")];
    let launch = || flags.iter().fold(lab.sidecar(), |launch, it| launch.flag(it.0, it.1));
    for restart in 0..RESTARTS {
        let mut sidecar = launch().start().await;
        let target = *progress.borrow() + PAYMENTS_BETWEEN;
        let reached = progress.wait_for(|count| *count >= target);
        timeout(PATIENCE, reached).await.unwrap().unwrap();
        if restart % SLOW_RESTARTS == 0 {
            zentra_is_slow(&lab).await;
        }
        sidecar.signal("TERM").await;
        let status = sidecar.ended().await;
        assert!(status.success(), "restart {restart}: {status}");
        if callers.iter().any(tokio::task::JoinHandle::is_finished) {
            // One has found a fault, which is told below.
            break;
        }
    }
    let _last = launch().start().await;
    load.stop.store(true, Ordering::Relaxed);
    let mut told = BTreeMap::new();
    for made in futures_util::future::join_all(callers).await {
        told.extend(made.unwrap());
    }
    let ledger = lab.zentra.ledger();
    let charged: BTreeMap<String, String> =
        ledger.charges.iter().map(|it| (it.reference.clone(), it.id.clone())).collect();
    assert_eq!(ledger.charges.len(), charged.len(), "a double charge");
    assert_eq!(told, charged);
    let posts = ledger.posts.iter().filter(|it| it.route == Route::CreateCharge).count();
    assert_eq!(posts, charged.len(), "nothing is sent twice");
    assert!(told.len() >= RESTARTS * PAYMENTS_BETWEEN);
}

#[tokio::test]
async fn a_hundred_payments_under_way_end_before_the_process_does() {
    let (lab, rotel) = (Lab::start().await, Rotel::start().await);
    lab.zentra_dedupes(false, false);
    // Longer than the story: spans leave in full batches, or at the end.
    let traced = traced(&lab, &rotel).variable("OTEL_BSP_SCHEDULE_DELAY", "600000");
    let mut sidecar = traced.flag("--drain-seconds", "20").start().await;
    let admin = sidecar.admin.trim_start_matches("http://").to_owned();
    assert_eq!(get(&admin, "/readyz").await.0, 200);
    let mut health = HealthClient::new(sidecar.channel().await);
    let whole = HealthCheckRequest { service: String::new() };
    let mut watch = health.watch(whole).await.unwrap().into_inner();
    let now = watch.message().await.unwrap().unwrap();
    assert_eq!(now.status(), ServingStatus::Serving);
    let orders: Vec<_> = (0..100).map(|number| order(&format!("order-{number}"))).collect();
    for order in &orders {
        lab.next_post(&order.reference, Action::DelayBefore(Duration::from_secs(2)));
    }
    let drain = async {
        lab.until("100 payments under way", |ledger| ledger.posts.len() >= 100).await;
        sidecar.signal("TERM").await;
        sidecar.said("\"message\":\"draining\"").await;
        let now = timeout(PATIENCE, watch.message()).await.unwrap().unwrap().unwrap();
        assert_eq!(now.status(), ServingStatus::NotServing);
        assert_eq!(get(&admin, "/readyz").await, (503, "not ready: draining\n".to_owned()));
        let late = sidecar.charge_anew(&order("late")).await;
        assert_eq!(late.fault_reason(), Some("SHUTTING_DOWN"));
    };
    let calls = futures_util::future::join_all(orders.iter().map(|order| sidecar.charge(order)));
    let (told, ()) = tokio::join!(calls, drain);
    assert!(sidecar.ended().await.success());
    // Each call has its span, the refused one too.
    let spans = rotel.spans(CHARGE, 101).await;
    assert_eq!(spans.iter().filter(|span| span.name == CHARGE).count(), 101);
    for (order, told) in orders.iter().zip(&told) {
        told.is_paid("DIRECT");
        lab.agrees(&order.reference, 1, &[told]);
        assert_eq!(lab.posts(&order.reference), 1);
    }
    assert_eq!(lab.charges("late"), 0);
}
