//! Collectors behind https: those are trusted whom the system's root certificates vouch for.

use std::path::Path;

use crate::support::collector::Collector;
use crate::support::pki::Authority;
use crate::support::process::Serving;
use crate::support::requests;

/// Nobody is there; the call's span leaves all the same.
const NO_ZENTRA: &str = "http://127.0.0.1:1";
const OVER_GRPC: [&str; 2] = [
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
];
const OVER_HTTP: [&str; 2] = ["/v1/metrics", "/v1/traces"];

/// The log of a sidecar that trusts `roots`, and exports what one call left.
async fn export(roots: &Path, variables: &[(&str, &str)]) -> String {
    let mut command = Serving::command(NO_ZENTRA, &[]);
    command.env("SSL_CERT_FILE", roots).envs(variables.iter().copied());
    let serving = Serving::of(command).await;
    let mut client = serving.client().await;
    client.get_charge(requests::get_charge("order-1")).await.unwrap_err();
    serving.signal("TERM").await;
    let (status, log) = serving.end().await;
    assert!(status.success(), "{log}");
    log
}

/// The paths that it was asked for, each once.
fn paths(mut collector: Collector) -> Vec<String> {
    let mut paths = Vec::new();
    while let Ok((path, _)) = collector.asked.try_recv() {
        paths.push(path);
    }
    paths.sort();
    paths.dedup();
    paths
}

#[tokio::test]
async fn over_either_protocol_spans_and_metrics_come_to_one_that_the_roots_vouch_for() {
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    let authority = Authority::new();
    std::fs::write(&roots, authority.pem()).unwrap();
    for (protocol, wanted) in [("grpc", OVER_GRPC), ("http/protobuf", OVER_HTTP)] {
        let collector = Collector::over_tls(&authority.server()).await;
        let to = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.url),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ];
        let log = export(&roots, &to).await;
        assert!(!log.contains("could not be sent"), "{protocol}: {log}");
        assert_eq!(paths(collector), wanted, "{protocol}: {log}");
    }
}

#[tokio::test]
async fn nothing_comes_to_one_that_they_do_not_know() {
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, Authority::new().pem()).unwrap();
    for protocol in ["grpc", "http/protobuf"] {
        let collector = Collector::over_tls(&Authority::new().server()).await;
        let to = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.url),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ];
        let log = export(&roots, &to).await;
        for what in ["spans could not be sent", "metrics could not be sent"] {
            assert!(log.contains(what), "{protocol}: {what}: {log}");
        }
        assert_eq!(paths(collector), [""; 0], "{protocol}");
    }
}

/// Each signal's own endpoint wins, also in whether it is over TLS.
#[tokio::test]
async fn one_signal_may_go_over_tls_and_the_other_without() {
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    let authority = Authority::new();
    std::fs::write(&roots, authority.pem()).unwrap();
    let (safe, plain) = (Collector::over_tls(&authority.server()).await, Collector::plain().await);
    let to = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*plain.url),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &*safe.url),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ];
    let log = export(&roots, &to).await;
    assert_eq!(paths(safe), [OVER_GRPC[1]], "{log}");
    assert_eq!(paths(plain), [OVER_GRPC[0]], "{log}");
}
