//! Row 28: SIGTERM under load. Nothing is lost, nothing is done twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tonic::Request;
use tonic::transport::Endpoint;
use zentra_sidecar::grpc::proto;
use zentra_sidecar::grpc::proto::payment_service_client::PaymentServiceClient;
use zentra_sidecar::simulator::Action;

use super::lab::{CUSTOMER, Lab, PATIENCE};
use super::sidecar::money;
use super::told::{Told, order};

const RESTARTS: usize = 200;
const CALLERS: usize = 16;
/// Payments between two restarts, at least.
const PAYMENTS_BETWEEN: usize = 10;

/// What the callers share.
struct Load {
    address: String,
    token: String,
    paid: watch::Sender<usize>,
    stop: AtomicBool,
}

/// Makes one payment after the other, each under its own key until it is made; tells the ids.
async fn caller(load: Arc<Load>, number: usize) -> Vec<(String, String)> {
    let channel = Endpoint::from_shared(load.address.clone()).unwrap().connect_lazy();
    let mut client = PaymentServiceClient::new(channel);
    let mut made = Vec::new();
    while !load.stop.load(Ordering::Relaxed) {
        let reference = format!("caller-{number}-{}", made.len());
        let id = loop {
            let mut request = Request::new(proto::ChargeRequest {
                idempotency_key: format!("key-{reference}"),
                reference: reference.clone(),
                amount: Some(money(1000)),
                customer_id: CUSTOMER.to_owned(),
                payment_token_id: load.token.clone(),
                actor: String::new(),
            });
            request.set_timeout(Duration::from_secs(5));
            let answer = client.charge(request).await.map(tonic::Response::into_inner);
            match Told::of_charge(answer.map(|it| (it.charge, it.execution))) {
                Told::Outcome(outcome) => {
                    assert_eq!(outcome.status, "SUCCEEDED");
                    break outcome.id;
                }
                Told::Error(fault) => {
                    let passing = ["SHUTTING_DOWN", "OUTCOME_UNKNOWN", "IDEMPOTENCY_IN_PROGRESS"];
                    assert!(passing.contains(&fault.reason.as_str()), "{fault:?}");
                }
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

#[tokio::test]
async fn two_hundred_restarts_under_load_lose_and_double_nothing() {
    let lab = Lab::start().await;
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
    let launch = || lab.sidecar().flag("--listen", &address).flag("--drain-seconds", "10");
    for restart in 0..RESTARTS {
        let mut sidecar = launch().start().await;
        let target = *progress.borrow() + PAYMENTS_BETWEEN;
        let reached = progress.wait_for(|count| *count >= target);
        tokio::time::timeout(PATIENCE, reached).await.unwrap().unwrap();
        sidecar.signal("TERM").await;
        let status = sidecar.ended().await;
        assert!(status.success(), "restart {restart}: {status}");
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
    assert!(told.len() >= RESTARTS * PAYMENTS_BETWEEN);
}

#[tokio::test]
async fn a_hundred_payments_under_way_end_before_the_process_does() {
    let lab = Lab::start().await;
    let mut sidecar = lab.sidecar().flag("--drain-seconds", "20").start().await;
    let orders: Vec<_> = (0..100).map(|number| order(&format!("order-{number}"))).collect();
    for order in &orders {
        lab.next_post(&order.reference, Action::DelayBefore(Duration::from_secs(2)));
    }
    let drain = async {
        lab.until("100 payments under way", |ledger| ledger.posts.len() >= 100).await;
        sidecar.signal("TERM").await;
        sidecar.said("\"message\":\"draining\"").await;
        let late = sidecar.charge(&order("late")).await;
        assert_eq!(late.fault_reason(), Some("SHUTTING_DOWN"));
    };
    let calls = futures_util::future::join_all(orders.iter().map(|order| sidecar.charge(order)));
    let (told, ()) = tokio::join!(calls, drain);
    assert!(sidecar.ended().await.success());
    for (order, told) in orders.iter().zip(&told) {
        told.is_paid("DIRECT");
        lab.agrees(&order.reference, 1, &[told]);
    }
    assert_eq!(lab.charges("late"), 0);
}
