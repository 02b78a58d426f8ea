//! Which certificates are taken, and what the others get.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::StreamBody;
use hyper::body::Frame;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose,
};
use rustls::{AlertDescription, Error, HandshakeKind};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::ServiceExt as _;

use super::Mesh;
use crate::support::pki::{
    self, Authority, CHECKOUT, Pair, client_config, client_config_for, service, shake_hands,
};
use crate::support::process::Serving;
use crate::support::requests;
use crate::support::stub::{Reply, Stub};
use crate::support::told::refused;

/// The alert that ends the handshake of a client that shows this.
async fn alert(mesh: &Mesh, serving: &Serving, shown: Option<&Pair>) -> AlertDescription {
    let config = Arc::new(client_config(&mesh.authority.pem(), shown));
    // With TLS 1.3 the client is through before the server has seen its certificate.
    let mut stream = shake_hands(&serving.grpc, config).await.unwrap();
    let fault: io::Error = stream.read_u8().await.unwrap_err();
    match fault.get_ref().and_then(|fault| fault.downcast_ref()) {
        Some(Error::AlertReceived(alert)) => *alert,
        _ => panic!("not an alert: {fault:?}"),
    }
}

async fn sidecar() -> (Mesh, Stub, Serving) {
    let mesh = Mesh::new();
    let stub = Stub::always(Reply::new(500, "")).await;
    let serving = mesh.serve(&stub.url).await;
    (mesh, stub, serving)
}

fn changed(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = service(&[CHECKOUT]);
    change(&mut params);
    params
}

/// A good URI, and a second one that is no text: others read it as one all the same.
fn with_unreadable_uri() -> CertificateParams {
    let uri = |text: &[u8]| [&[0x86, u8::try_from(text.len()).unwrap()], text].concat();
    let names = [uri(CHECKOUT.as_bytes()), uri(b"spiffe://mesh.example/\xff")].concat();
    let content = [&[0x30, u8::try_from(names.len()).unwrap()], names.as_slice()].concat();
    let mut params = service(&[]);
    let names = CustomExtension::from_oid_content(&[2, 5, 29, 17], content);
    params.custom_extensions.push(names);
    params
}

#[tokio::test]
async fn no_wrong_or_expired_certificate_ends_the_handshake() {
    let (mesh, stub, serving) = sidecar().await;
    let none = alert(&mesh, &serving, None).await;
    assert_eq!(none, AlertDescription::CertificateRequired);
    let stranger = Authority::new().service(CHECKOUT);
    let of_stranger = alert(&mesh, &serving, Some(&stranger)).await;
    assert_eq!(of_stranger, AlertDescription::DecryptError, "the same name, another key");
    for (params, expected) in [
        (
            changed(|it| it.not_after = rcgen::date_time_ymd(2020, 1, 1)),
            AlertDescription::CertificateExpired,
        ),
        (
            changed(|it| it.not_before = rcgen::date_time_ymd(2100, 1, 1)),
            AlertDescription::CertificateExpired,
        ),
        (
            changed(|it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
            AlertDescription::UnsupportedCertificate,
        ),
    ] {
        let pair = mesh.authority.sign(&params);
        assert_eq!(alert(&mesh, &serving, Some(&pair)).await, expected);
    }
    // What is refused is the certificate and not the client.
    let mut client = mesh.client(&serving.grpc, CHECKOUT).await;
    client.get_charge(requests::get_charge("order-1")).await.unwrap_err();
    assert!(!stub.seen().is_empty(), "a good call gets through");
}

#[tokio::test]
async fn a_certificate_that_does_not_say_exactly_who_it_is_ends_the_handshake() {
    let (mesh, stub, serving) = sidecar().await;
    let other = "spiffe://mesh.example/ns/shop/sa/other";
    for (params, why) in [
        (service(&[CHECKOUT, other]), "exactly one URI"),
        (service(&[]), "exactly one URI"),
        (with_unreadable_uri(), "cannot be read"),
        (service(&["https://mesh.example/ns/shop/sa/checkout"]), "must be spiffe://"),
        (service(&["spiffe://mesh.example"]), "must have a path"),
        (service(&["spiffe://mesh.example/ns/shop/sa/checkout/"]), "must have a path"),
        (service(&["spiffe://mesh.example/ns/shop/sa/%63heckout"]), "must have a path"),
        (service(&["spiffe://other.example/ns/shop/sa/checkout"]), "another trust domain"),
        (service(&["spiffe://mesh.example/_"]), "cannot be a caller's name"),
        (changed(|it| it.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)), "CaUsedAsEndEntity"),
        (changed(|it| it.key_usages.push(KeyUsagePurpose::KeyCertSign)), "that of an authority"),
    ] {
        let serving = mesh.serve(&stub.url).await;
        let pair = mesh.authority.sign(&params);
        let alert = alert(&mesh, &serving, Some(&pair)).await;
        let expected = [AlertDescription::CertificateUnknown, AlertDescription::BadCertificate];
        assert!(expected.contains(&alert), "{why}: {alert:?}");
        serving.signal("TERM").await;
        let (_, log) = serving.end().await;
        assert!(log.contains("a TLS handshake failed") && log.contains(why), "{why}: {log}");
    }
    let mut client = mesh.client(&serving.grpc, CHECKOUT).await;
    client.get_charge(requests::get_charge("order-1")).await.unwrap_err();
    assert!(!stub.seen().is_empty(), "a good call gets through");
}

#[tokio::test]
async fn an_id_that_is_not_on_the_list_may_call_nothing() {
    let (mesh, stub, serving) = sidecar().await;
    for id in ["spiffe://mesh.example/ns/billing/sa/checkout", "spiffe://mesh.example/shop"] {
        let shown = mesh.authority.service(id);
        let channel = pki::channel(&serving.grpc, &mesh.authority.pem(), &shown).await.unwrap();
        let mut client = crate::support::sidecar::Client::new(channel.clone());
        let expected = "PermissionDenied CALLER_NOT_ALLOWED money_moved=unknown sent=false; \
                        never again";
        assert_eq!(refused(client.charge(requests::charge("order-1")).await), expected);
        let get = client.get_charge(requests::get_charge("order-1")).await;
        assert_eq!(refused(get), "PermissionDenied CALLER_NOT_ALLOWED; never again");
        let check = HealthClient::new(channel).check(HealthCheckRequest::default()).await;
        assert_eq!(refused(check), expected);
    }
    assert!(stub.seen().is_empty(), "nothing reaches Zentra");
}

/// Nothing that such a caller sends is waited for or looked at: a message that never comes is
/// answered as fast as one that does.
#[tokio::test]
async fn who_may_not_call_is_answered_without_a_look_at_the_message() {
    let (mesh, _stub, serving) = sidecar().await;
    let shown = mesh.authority.service("spiffe://mesh.example/ns/billing/sa/checkout");
    let channel = pki::channel(&serving.grpc, &mesh.authority.pem(), &shown).await.unwrap();
    let never = StreamBody::new(tokio_stream::pending::<Result<Frame<Bytes>, tonic::Status>>());
    let request = http::Request::post("/zentra.gateway.v1.PaymentService/Charge")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(tonic::body::Body::new(never))
        .unwrap();
    let answer = timeout(Duration::from_secs(5), channel.oneshot(request)).await;
    let answer = answer.expect("it waits for the message").unwrap();
    assert_eq!(answer.headers()["grpc-status"], "7");
}

#[tokio::test]
async fn no_session_is_resumed_because_its_certificate_would_not_be_looked_at() {
    let (mesh, _stub, serving) = sidecar().await;
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let shown = mesh.authority.service(CHECKOUT);
        let trusted = mesh.authority.pem();
        let config = Arc::new(client_config_for(versions, &trusted, Some(&shown)));
        for _ in 0..3 {
            let mut stream = shake_hands(&serving.grpc, config.clone()).await.unwrap();
            // The server's settings come after its tickets, where it gives any.
            stream.read_u8().await.unwrap();
            assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
        }
    }
}
