//! The simulator over real connections.

mod control;
mod webhooks;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use zentra_sidecar::clock::SystemClock;
use zentra_sidecar::simulator::{LedgerView, Options, Simulator, start};

const KEY: &str = "sk_simulated_0000000000000000";
/// Far longer than any step takes: only a broken test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running simulator and a client for it.
struct Bench {
    simulator: Simulator,
    client: reqwest::Client,
}

impl Bench {
    async fn new() -> Self {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> Self {
        let simulator = start(options, Arc::new(SystemClock)).await.unwrap();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .timeout(PATIENCE)
            .build()
            .unwrap();
        Self { simulator, client }
    }

    fn post(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        self.client
            .post(format!("{}/api/v1/payments/{path}", self.simulator.url()))
            .bearer_auth(KEY)
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let body = response.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// A call of the control API.
    async fn control(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let url = format!("{}/_simulator/{path}", self.simulator.url());
        let method = method.parse().unwrap();
        self.answer(self.client.request(method, url).body(body.to_owned())).await
    }

    async fn token(&self, number: &str) -> String {
        let body = json!({
            "customer_id": "cus_1",
            "card": {"number": number, "expiry_month": 12, "expiry_year": 2090},
        });
        let (status, body) = self.answer(self.post("tokens/card", &body)).await;
        assert_eq!(status, 201, "{body}");
        body["data"]["id"].as_str().unwrap().to_owned()
    }

    /// A charge that is ready to be sent, on a new token.
    async fn charge(&self, reference: &str, card: &str) -> reqwest::RequestBuilder {
        let body = json!({
            "idempotency_key": format!("key-{reference}"),
            "reference": reference,
            "amount_minor": 1000,
            "currency": "NGN",
            "customer_id": "cus_1",
            "payment_token_id": self.token(card).await,
            "capture_mode": "customer_action_required",
        });
        self.post("charges", &body)
    }

    fn charges(&self) -> usize {
        self.simulator.ledger().charges.len()
    }

    /// Waits until the ledger holds this many charges.
    async fn until_charges(&self, count: usize) {
        self.until(|ledger| ledger.charges.len() == count).await;
    }

    async fn until(&self, holds: impl Fn(&LedgerView) -> bool) {
        let wait = async {
            while !holds(&self.simulator.ledger()) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap();
    }
}

const GOOD_CARD: &str = "4242424242424242";
const SLOW_CARD: &str = "4000000000006975";
