//! The load: charges over a few connections, and how long each took.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use tonic::transport::{Channel, Endpoint};
use zentra_sidecar::grpc::proto;
use zentra_sidecar::grpc::proto::payment_service_client::PaymentServiceClient;

use super::Shape;
use super::contestants::Contestant;

/// Connections that the calls are spread over, as a service's own instances would be.
const CONNECTIONS: usize = 8;
/// Finished keys that replays go round.
const FINISHED: u64 = 1000;

/// What a round came to.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// Each call's time, in order of length.
    times: Vec<Duration>,
}

impl Measured {
    pub(crate) fn calls(&self) -> usize {
        self.times.len()
    }

    /// The time that this many of a thousand calls took at most.
    pub(crate) fn per_mille(&self, per_mille: usize) -> Duration {
        self.times[(self.times.len() - 1) * per_mille / 1000]
    }
}

/// A source of charges.
#[derive(Clone)]
pub(crate) struct Load {
    clients: Vec<PaymentServiceClient<Channel>>,
    next: Arc<AtomicU64>,
    /// Keys are used again after so many; none are where it is zero.
    round: u64,
}

/// No key of this run comes twice.
static NEXT: AtomicU64 = AtomicU64::new(1_000_000);

impl Load {
    /// Each charge under a key of its own.
    pub(crate) async fn firsts(contestant: &Contestant) -> Self {
        Self { clients: connect(contestant).await, next: Arc::default(), round: 0 }
    }

    /// Charges that were made before.
    pub(crate) async fn replays(contestant: &Contestant) -> Self {
        let load =
            Self { clients: connect(contestant).await, next: Arc::default(), round: FINISHED };
        for _ in 0..FINISHED {
            load.call().await;
        }
        load
    }

    async fn call(&self) -> proto::ChargeResponse {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = match self.round {
            0 => NEXT.fetch_add(1, Ordering::Relaxed),
            round => number % round,
        };
        let mut client = self.clients[number as usize % CONNECTIONS].clone();
        client.charge(request(name)).await.unwrap().into_inner()
    }

    /// Runs for this long.
    pub(crate) async fn run(&self, shape: Shape, time: Duration) -> Measured {
        let end = Instant::now() + time;
        let mut times = match shape {
            Shape::InFlight(count) => self.closed(count, end).await,
            Shape::Paced(per_second) => self.paced(per_second, end).await,
        };
        times.sort_unstable();
        Measured { times }
    }

    async fn closed(&self, count: usize, end: Instant) -> Vec<Duration> {
        let callers = (0..count).map(|_| {
            let load = self.clone();
            tokio::spawn(async move {
                let mut times = Vec::new();
                while Instant::now() < end {
                    let began = Instant::now();
                    load.call().await;
                    times.push(began.elapsed());
                }
                times
            })
        });
        let mut times = Vec::new();
        for caller in callers.collect::<Vec<_>>() {
            times.extend(caller.await.unwrap());
        }
        times
    }

    /// A call's time counts from when it was due, so that a stall is not hidden by waiting.
    async fn paced(&self, per_second: u32, end: Instant) -> Vec<Duration> {
        let began = Instant::now();
        let mut calls = Vec::new();
        for number in 0.. {
            let due = began + Duration::from_secs(1) * number / per_second;
            if due >= end {
                break;
            }
            tokio::time::sleep_until(due).await;
            let load = self.clone();
            calls.push(tokio::spawn(async move {
                load.call().await;
                due.elapsed()
            }));
        }
        let mut times = Vec::new();
        for call in calls {
            times.push(call.await.unwrap());
        }
        times
    }
}

async fn connect(contestant: &Contestant) -> Vec<PaymentServiceClient<Channel>> {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let endpoint = Endpoint::from_shared(format!("http://{}", contestant.address)).unwrap();
        clients.push(PaymentServiceClient::new(endpoint.connect().await.unwrap()));
    }
    clients
}

fn request(number: u64) -> proto::ChargeRequest {
    proto::ChargeRequest {
        idempotency_key: format!("bench-key-{number}"),
        reference: format!("bench-order-{number}"),
        amount: Some(proto::Money { amount_minor: 50_000, currency: "NGN".to_owned() }),
        customer_id: "cus_1".to_owned(),
        payment_token_id: "tok_1".to_owned(),
        actor: String::new(),
    }
}

/// The contestants must give the same answer, or they could not be compared.
pub(crate) async fn answers_honestly(contestant: &Contestant) {
    let load = Load::firsts(contestant).await;
    let number = NEXT.load(Ordering::Relaxed);
    let charge = load.call().await.charge.unwrap();
    let expected = proto::Charge {
        id: "chg_1".to_owned(),
        reference: format!("bench-order-{number}"),
        amount: request(number).amount,
        customer_id: "cus_1".to_owned(),
        payment_token_id: "tok_1".to_owned(),
        initiator: proto::Initiator::Customer.into(),
        status: proto::ChargeStatus::Succeeded.into(),
        provider_status: "successful".to_owned(),
        ..proto::Charge::default()
    };
    assert_eq!(charge, expected, "{}", contestant.name);
}
