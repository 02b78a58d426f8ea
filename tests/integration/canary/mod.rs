//! Canaries: card numbers, codes, names and account numbers that occur nowhere else are driven
//! through the ways that a call can go, and then looked for wherever anything is written down.

mod scanner;

use std::sync::Arc;
use std::time::Duration;

use tonic::{Request, Status};
use zentra_sidecar::clock::SystemClock;
use zentra_sidecar::grpc::proto::tokenize_request::PaymentMethod;
use zentra_sidecar::grpc::proto::{ChargeRequest, RefundRequest, RenewRequest, TokenizeRequest};
use zentra_sidecar::idempotency::Store as _;
use zentra_sidecar::simulator::{self, Action, Fault, Options, Route, Simulator};

use crate::support::payment::key_line;
use crate::support::process::{Serving, get};
use crate::support::redis::{Program, Server, open};
use crate::support::requests;
use crate::support::sidecar::{Client, Sidecar, transport};
use crate::support::told::everything;
use crate::telemetry::kept;
use scanner::{Canaries, Sink};

fn card(canaries: &Canaries, key: &str) -> TokenizeRequest {
    let mut request = requests::card(&canaries.number);
    request.idempotency_key = key.to_owned();
    let Some(PaymentMethod::Card(card)) = &mut request.payment_method else { unreachable!() };
    card.cvv.clone_from(&canaries.code);
    card.holder_name.clone_from(&canaries.name);
    card.expiry_year = 2090;
    request
}

fn account(canaries: &Canaries, key: &str) -> TokenizeRequest {
    let mut request = requests::bank_account(&canaries.account);
    request.idempotency_key = key.to_owned();
    let Some(PaymentMethod::BankAccount(account)) = &mut request.payment_method else {
        unreachable!()
    };
    account.account_name.clone_from(&canaries.name);
    request
}

/// Calls, what they carried, and all that their callers were told.
#[derive(Default)]
struct Driven {
    canaries: Vec<Canaries>,
    told: String,
}

impl Driven {
    /// The secrets of the next call.
    fn next(&mut self) -> (Canaries, String) {
        let call = u32::try_from(self.canaries.len()).unwrap();
        let canaries = Canaries::new(call);
        self.canaries.push(canaries.clone());
        (canaries, format!("key-{call}"))
    }

    fn heard<T: std::fmt::Debug>(&mut self, answer: Result<T, Status>) {
        match answer {
            Ok(answer) => self.told += &format!("{answer:?}\n"),
            Err(status) => self.told += &format!("{}\n", everything(&status)),
        }
    }

    async fn tokenize(&mut self, client: &mut Client, request: TokenizeRequest) {
        let mut request = Request::new(request);
        request.set_timeout(Duration::from_millis(1500));
        self.heard(client.tokenize(request).await);
    }

    /// Tokenizes with whatever can become of it at Zentra.
    async fn through_zentra(&mut self, client: &mut Client, zentra: &Simulator) {
        let echo = |status, body: String| Action::Status {
            status,
            effect: false,
            code: None,
            body: Some(body),
            retry_after: None,
        };
        for case in 0..12 {
            let (canaries, key) = self.next();
            let all = format!("{canaries:?}");
            let error = serde_json::json!({
                "success": false,
                "error": {"code": "validation_error", "message": all, "field": all},
            });
            let action = match case {
                1 => Some(Action::ResetBefore),
                2 => Some(Action::ResetAfter),
                3 => Some(Action::AnswerLost { close_after: None }),
                4 => Some(Action::Truncated { keep: None }),
                5 => Some(Action::NotJson { body: Some(all) }),
                6..=11 => {
                    let status = [400, 401, 409, 422, 429, 500][case - 6];
                    Some(echo(status, error.to_string()))
                }
                _ => None,
            };
            if let Some(action) = action {
                zentra.inject(Fault::on(Route::TokenizeCard, action));
            }
            self.tokenize(client, card(&canaries, &key)).await;
            // The same again, as a caller would, and the key with another card.
            self.tokenize(client, card(&canaries, &key)).await;
            let (other, _) = self.next();
            self.tokenize(client, card(&other, &key)).await;
        }
        let (canaries, key) = self.next();
        self.tokenize(client, account(&canaries, &key)).await;
    }

    /// What is refused before anything is sent.
    async fn refused(&mut self, client: &mut Client) {
        let (canaries, key) = self.next();
        let mut expired = card(&canaries, &key);
        let Some(PaymentMethod::Card(card)) = &mut expired.payment_method else { unreachable!() };
        card.expiry_year = 2001;
        self.tokenize(client, expired).await;
        let (Canaries { number, .. }, key) = self.next();
        let charge =
            || ChargeRequest { idempotency_key: key.clone(), ..requests::charge("order-1") };
        for request in [
            ChargeRequest { reference: number.clone(), ..charge() },
            ChargeRequest { idempotency_key: number.clone(), ..charge() },
            ChargeRequest { actor: format!("card {number}"), ..charge() },
            ChargeRequest { customer_id: number.clone(), ..charge() },
            ChargeRequest { payment_token_id: number.clone(), ..charge() },
        ] {
            self.heard(client.charge(request).await);
        }
        let renew = RenewRequest { reference: number.clone(), ..requests::renew("order-1") };
        self.heard(client.renew(renew).await);
        let refund = requests::refund("refund-1", "order-1", None);
        let refund = RefundRequest { reason: format!("of {number}"), ..refund };
        self.heard(client.refund(refund).await);
        self.heard(client.get_charge(requests::get_charge(&number)).await);
        self.heard(client.get_refund(requests::get_refund(&number)).await);
        self.heard(client.verify(requests::verify(&number)).await);
        self.heard(client.list_charges(requests::list_charges(0, &number)).await);
    }
}

/// Every name and value of a Redis, whatever its type.
async fn stored(redis: &Server) -> Vec<u8> {
    let mut content = Vec::new();
    for key in redis.ask::<Vec<String>>(&["KEYS", "*"]).await {
        content.extend(key.as_bytes());
        let kind: String = redis.ask(&["TYPE", &key]).await;
        let values: Vec<Vec<u8>> = match kind.as_str() {
            "hash" => redis.ask(&["HGETALL", &key]).await,
            "zset" => redis.ask(&["ZRANGE", &key, "0", "-1", "WITHSCORES"]).await,
            "string" => vec![redis.ask(&["GET", &key]).await],
            other => panic!("a {other} in the store, which nobody searches"),
        };
        for value in values {
            content.push(b'\n');
            content.extend(value);
        }
    }
    content
}

#[tokio::test]
async fn nothing_of_a_card_is_in_output_messages_metrics_or_store() {
    let zentra = simulator::start(Options::default(), Arc::new(SystemClock)).await.unwrap();
    let redis = Server::start(Program::Redis, &[]).await;
    open(&redis.url(), "default").init().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    std::fs::write(&keys, key_line(1)).unwrap();
    let (store, keys) =
        (format!("--store={}", redis.url()), format!("--fingerprint-key-file={}", keys.display()));
    let flags = [&store, &keys, "--store-timeout-ms=5000", "--attempt-timeout-seconds=1"];
    let serving = Serving::start(&zentra.url(), &flags).await;
    let mut driven = Driven::default();
    let mut client = serving.client().await;
    driven.through_zentra(&mut client, &zentra).await;
    driven.refused(&mut client).await;
    let refusing = [&flags[..], &["--card-data=refuse"]].concat();
    let refusing = Serving::start(&zentra.url(), &refusing).await;
    let (canaries, key) = driven.next();
    driven.tokenize(&mut refusing.client().await, card(&canaries, &key)).await;

    let metrics = get(&serving.admin, "/metrics").await.1;
    let content = stored(&redis).await;
    let mut output = String::new();
    for serving in [serving, refusing] {
        let stdout = serving.stdout();
        serving.signal("TERM").await;
        output += &serving.log.clone();
        output += &serving.end().await.1;
        output += &stdout.lock().unwrap();
    }
    assert!(output.contains("\"audit\"") && output.contains("\"outcome\":\"OK\""));
    for sink in [
        Sink::new("standard output and error", output),
        Sink::new("messages to callers", driven.told),
        Sink::new("metrics", metrics),
        Sink::new("the store", content),
    ] {
        sink.search(&driven.canaries);
    }
}

#[tokio::test]
async fn nothing_of_a_card_is_in_spans_or_the_audit_log() {
    let (telemetry, spans, lines) = kept();
    let zentra = simulator::start(Options::default(), Arc::new(SystemClock)).await.unwrap();
    let flags = ["--attempt-timeout-seconds=1"];
    let sidecar = Sidecar::telling(&zentra.url(), &flags, transport(), telemetry).await;
    let mut driven = Driven::default();
    driven.through_zentra(&mut sidecar.client(), &zentra).await;
    driven.refused(&mut sidecar.client()).await;
    let spans = format!("{:?}", spans.get_finished_spans().unwrap());
    let audit = format!("{:?}", lines.all());
    Sink::new("spans", spans).search(&driven.canaries);
    Sink::new("the audit log", audit).search(&driven.canaries);
}
