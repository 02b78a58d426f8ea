//! Calls at fixed times, and what came of them.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tonic::{Request, Status};
use tonic_types::StatusExt as _;
use zentra_sidecar::grpc::proto;

use super::world::{CUSTOMER, Client};

/// What a caller gives its call.
const DEADLINE: Duration = Duration::from_secs(5);

/// One call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// When it began, from the start on.
    pub(crate) at: Duration,
    pub(crate) took: Duration,
    /// `OK`, an error's reason, or the bare code of one without.
    pub(crate) outcome: String,
}

/// Makes `per_second` calls a second for `time`; `make` gets each one's number and a client.
pub(crate) async fn steady<F>(
    clients: &[Client],
    per_second: u32,
    time: Duration,
    make: impl Fn(u32, Client) -> F,
) -> Vec<Call>
where
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    let count = per_second * u32::try_from(time.as_secs()).unwrap();
    let began = Instant::now();
    let mut running = JoinSet::new();
    for number in 0..count {
        let due = began + Duration::from_secs(1) * number / per_second;
        sleep_until(due).await;
        let call = make(number, clients[number as usize % clients.len()].clone());
        running.spawn(async move {
            let began_now = Instant::now();
            let outcome = outcome(call.await);
            Call { at: due - began, took: began_now.elapsed(), outcome }
        });
    }
    running.join_all().await
}

fn outcome(answer: Result<(), Status>) -> String {
    match answer {
        Ok(()) => "OK".to_owned(),
        Err(status) => match status.get_details_error_info() {
            Some(info) => info.reason,
            None => format!("{:?}", status.code()),
        },
    }
}

/// A charge under a key of its own.
pub(crate) async fn charge(
    mut client: Client,
    token: String,
    reference: String,
) -> Result<(), Status> {
    let mut request = Request::new(proto::ChargeRequest {
        idempotency_key: format!("key-{reference}"),
        reference,
        amount: Some(proto::Money { amount_minor: 1000, currency: "NGN".to_owned() }),
        customer_id: CUSTOMER.to_owned(),
        payment_token_id: token,
        actor: String::new(),
    });
    prepare(&mut request);
    client.charge(request).await.map(|_| ())
}

/// A read of a charge.
pub(crate) async fn read(mut client: Client, reference: String) -> Result<(), Status> {
    let mut request = Request::new(proto::GetChargeRequest { reference });
    prepare(&mut request);
    client.get_charge(request).await.map(|_| ())
}

/// A deadline, and a trace of its own, by which its requests are told apart at Zentra.
fn prepare<T>(request: &mut Request<T>) {
    request.set_timeout(DEADLINE);
    let (trace, span) = (rand::random::<u128>() | 1, rand::random::<u64>() | 1);
    let traceparent = format!("00-{trace:032x}-{span:016x}-00").parse().unwrap();
    request.metadata_mut().insert("traceparent", traceparent);
}

/// The value that this share of them does not exceed, in milliseconds.
pub(crate) fn percentile_ms(mut times: Vec<Duration>, share: f64) -> f64 {
    times.sort_unstable();
    let index = ((times.len() as f64 * share).ceil() as usize).saturating_sub(1);
    times.get(index).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}
