//! What a collector wants to be told by whoever sends to it comes from a file, over either protocol.

use crate::support::collector::Collector;
use crate::support::process::{Serving, command, run};
use crate::support::requests;
use crate::support::soon;
use crate::support::stub::{Reply, Stub};

/// Nobody is there; the call's span leaves all the same.
const NO_ZENTRA: &str = "http://127.0.0.1:1";
const HEADERS: &str = "authorization=Bearer%20of-the-file\nx-tenant=shop\n";

/// A sidecar that exports to this collector, after one call.
async fn export(to: &str, protocol: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("headers");
    std::fs::write(&file, HEADERS).unwrap();
    let flag = format!("--otlp-headers-file={}", file.display());
    let mut command = Serving::command(NO_ZENTRA, &[&flag]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", to).env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
    let serving = Serving::of(command).await;
    let mut client = serving.client().await;
    client.get_charge(requests::get_charge("order-1")).await.unwrap_err();
    serving.signal("TERM").await;
    let (status, log) = serving.end().await;
    assert!(status.success(), "{log}");
    assert!(!log.contains("of-the-file"), "{log}");
}

#[tokio::test]
async fn over_http_they_come_with_spans_and_metrics() {
    let collector = Stub::always(Reply::new(200, "")).await;
    export(&collector.url, "http/protobuf").await;
    let seen = collector.seen();
    for path in ["/v1/traces", "/v1/metrics"] {
        let request = seen.iter().find(|it| it.path == path).expect(path);
        for (name, value) in [("authorization", "Bearer of-the-file"), ("x-tenant", "shop")] {
            let header = (name.to_owned(), value.to_owned());
            assert!(request.headers.contains(&header), "{path}: {:?}", request.headers);
        }
    }
}

#[tokio::test]
async fn over_grpc_they_come_with_spans_and_metrics() {
    let mut collector = Collector::plain().await;
    export(&collector.url, "grpc").await;
    let mut paths = Vec::new();
    while paths.len() < 2 {
        let (path, headers) = soon(collector.asked.recv()).await.unwrap();
        assert_eq!(headers["authorization"], "Bearer of-the-file", "{path}");
        assert_eq!(headers["x-tenant"], "shop", "{path}");
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
}

#[tokio::test]
async fn a_file_that_holds_none_and_one_beside_the_variable_are_faults_that_repeat_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("headers");
    std::fs::write(&file, "only-a-token-4711").unwrap();
    let flag = format!("--otlp-headers-file={}", file.display());
    let config = async |headers: &str| {
        let mut config = command(&["config", &flag]);
        config.env("ZENTRA_SECRET_KEY", "sk_sandbox_a");
        config.env("OTEL_EXPORTER_OTLP_TRACES_HEADERS", headers);
        run(config).await
    };
    let ended = config("another-token-4712").await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    for name in
        ["--otlp-headers-file (SIDECAR_OTLP_HEADERS_FILE)", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"]
    {
        let fault = format!("{name} must be NAME=VALUE, separated by commas or lines");
        assert!(ended.stderr.contains(&fault), "{ended:?}");
    }
    assert!(!ended.stderr.contains("471"), "{ended:?}");
    std::fs::write(&file, "authorization=Bearer token-4711").unwrap();
    let ended = config("authorization=Bearer token-4712").await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("is given beside OTEL_EXPORTER_OTLP_HEADERS"), "{ended:?}");
    let ended = config("").await;
    assert!(ended.stdout.contains("otlp-headers "), "{ended:?}");
    assert!(ended.stdout.contains("= authorization=***"), "{ended:?}");
}
