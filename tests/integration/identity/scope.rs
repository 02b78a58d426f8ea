//! One caller text, and one scope of keys, whichever way a service comes.

use std::sync::Arc;

use tonic::Request;
use zentra_sidecar::idempotency::Store as _;
use zentra_sidecar::simulator::{self, Options};

use super::Mesh;
use crate::support::payment::key_line;
use crate::support::pki::CHECKOUT;
use crate::support::process::Serving;
use crate::support::redis::{Program, Server, open};
use crate::support::requests::{self, GOOD_CARD};
use crate::support::rotel::Rotel;
use crate::support::sidecar::{Client, StandingClock};
use crate::support::stub::{Reply, Stub};

/// The span of a charge at the sidecar.
const CHARGE: &str = "zentra.gateway.v1.PaymentService/Charge";

async fn caller_in_log(serving: Serving) -> String {
    serving.signal("TERM").await;
    let (_, log) = serving.end().await;
    let mut lines = log.lines().filter_map(|line| serde_json::from_str(line).ok());
    let call = lines.rfind(|it: &serde_json::Value| it["message"] == "call");
    call.unwrap()["caller"].as_str().unwrap().to_owned()
}

async fn charged(client: &mut Client, token: &str) -> (String, bool) {
    let request = zentra_sidecar::grpc::proto::ChargeRequest {
        payment_token_id: token.to_owned(),
        ..requests::charge("order-1")
    };
    let answer = client.charge(request).await.unwrap().into_inner();
    (answer.charge.unwrap().id, answer.execution.unwrap().replayed)
}

#[tokio::test]
async fn a_service_behind_a_sidecar_and_before_a_gateway_has_one_scope() {
    let mesh = Mesh::new();
    let zentra = simulator::start(Options::default(), Arc::new(StandingClock)).await.unwrap();
    let redis = Server::start(Program::Redis, &[]).await;
    open(&redis.url(), "default").init().await.unwrap();
    let keys = mesh.file("keys");
    std::fs::write(&keys, key_line(1)).unwrap();
    let rotel = Rotel::start().await;
    // Nobody else may do anything: whom the policy sees is the caller of the scope.
    let policy = tempfile::tempdir().unwrap();
    let rule =
        "@id(\"checkout\")\npermit (principal == Service::\"shop/checkout\", action, resource);";
    std::fs::write(policy.path().join("rules.cedar"), rule).unwrap();
    let settings = [
        format!("--policy={}", policy.path().display()),
        format!("--store={}", redis.url()),
        format!("--fingerprint-key-file={}", keys.display()),
        "--store-timeout-ms=5000".to_owned(),
    ];
    let with_store = |flags: &[&str]| {
        let flags = flags.iter().map(|it| (*it).to_owned());
        flags.chain(settings.clone()).collect::<Vec<_>>()
    };
    let start = async |flags: Vec<String>| {
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let mut command = Serving::command(&zentra.url(), &flags);
        command.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("http://{}", rotel.grpc));
        command.env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        Serving::of(command).await
    };
    let sidecar = start(with_store(&["--caller=shop/checkout"])).await;
    let mut gateway = with_store(&["--listen=tls://127.0.0.1:0", "--caller=gateway"]);
    gateway.extend(mesh.flags());
    let gateway = start(gateway).await;

    let mut beside = sidecar.client().await;
    let token = beside.tokenize(requests::card(GOOD_CARD)).await.unwrap().into_inner();
    let token = token.token.unwrap().id;
    let (first, replayed) = charged(&mut beside, &token).await;
    assert!(!replayed);
    let mut over_tls = mesh.client(&gateway.grpc, CHECKOUT).await;
    assert_eq!(charged(&mut over_tls, &token).await, (first, true), "a replay across both");
    assert_eq!(zentra.ledger().charges.len(), 1);
    drop((beside, over_tls));
    assert_eq!(caller_in_log(sidecar).await, "shop/checkout");
    assert_eq!(caller_in_log(gateway).await, "shop/checkout");
    let charges = rotel.spans(CHARGE, 2).await;
    let charges = charges.iter().filter(|span| span.name == CHARGE);
    let callers: Vec<_> = charges.map(|span| &*span.attributes["zentra_sidecar.caller"]).collect();
    assert_eq!(callers, ["shop/checkout"; 2]);
}

#[tokio::test]
async fn another_services_key_is_another_payment_and_tells_nothing() {
    let mesh = Mesh::new();
    let zentra = simulator::start(Options::default(), Arc::new(StandingClock)).await.unwrap();
    let serving = mesh.serve(&zentra.url()).await;
    let mut checkout = mesh.client(&serving.grpc, CHECKOUT).await;
    let id = "spiffe://mesh.example/ns/shop/sa/returns";
    let mut returns = mesh.client(&serving.grpc, id).await;
    let token = checkout.tokenize(requests::card(GOOD_CARD)).await.unwrap().into_inner();
    let token = token.token.unwrap().id;
    charged(&mut checkout, &token).await;
    // The other's key, and a reference of its own: a payment of its own.
    let request = zentra_sidecar::grpc::proto::ChargeRequest {
        payment_token_id: token.clone(),
        reference: "order-2".into(),
        ..requests::charge("order-1")
    };
    let own = returns.charge(request).await.unwrap().into_inner();
    assert!(!own.execution.unwrap().replayed);
    // The other's key and reference: refused, without a word of what became of it.
    let request = zentra_sidecar::grpc::proto::ChargeRequest {
        payment_token_id: token,
        idempotency_key: "key-of-returns".into(),
        ..requests::charge("order-1")
    };
    let told = crate::support::told::refused(returns.charge(request).await);
    let expected = "AlreadyExists REFERENCE_ALREADY_USED money_moved=unknown reference=order-1 \
                    sent=false; never again";
    assert_eq!(told, expected);
    assert_eq!(zentra.ledger().charges.len(), 2);
}

#[tokio::test]
async fn metadata_never_says_who_calls() {
    let stub = Stub::always(Reply::new(500, "")).await;
    let serving = Serving::start(&stub.url, &["--caller=shop/checkout"]).await;
    let mut request = Request::new(requests::get_charge("order-1"));
    for name in [
        "x-forwarded-client-cert",
        "x-caller",
        "x-spiffe-id",
        "caller",
        "x-forwarded-for",
        "authorization",
    ] {
        let claimed = "URI=spiffe://mesh.example/ns/bank/sa/root;caller=bank/root";
        request.metadata_mut().insert(name, claimed.parse().unwrap());
    }
    serving.client().await.get_charge(request).await.unwrap_err();
    assert!(!format!("{:?}", stub.seen()).contains("bank"), "nothing of it reaches Zentra");
    assert_eq!(caller_in_log(serving).await, "shop/checkout");
}
