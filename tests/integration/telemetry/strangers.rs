//! What the log says of calls whose peer may not call, of which nothing is read.

use serde_json::Value;
use tonic::Request;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use zentra_sidecar::grpc::proto::SubscribeRequest;
use zentra_sidecar::grpc::proto::event_service_client::EventServiceClient;

use crate::support::process::{Serving, get};
use crate::support::requests;

/// No process has it.
const NOBODYS_UID: &str = "4294967294";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// The names of a line's fields, but for those that each line has.
fn fields(line: &Value) -> Vec<&str> {
    let names = line.as_object().unwrap().keys().map(String::as_str);
    let every_lines = ["timestamp", "level", "message", "target"];
    let mut names: Vec<&str> = names.filter(|name| !every_lines.contains(name)).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn an_operation_is_told_with_its_trace_and_other_calls_are_barely_told() {
    let folder = tempfile::tempdir().unwrap();
    let socket = format!("--listen=unix:{}", folder.path().join("socket").display());
    let uids = format!("--unix-peer-uids={NOBODYS_UID}");
    let serving = Serving::start("http://127.0.0.1:1", &[&socket, &uids]).await;
    let mut request = Request::new(requests::charge("order-1"));
    let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    serving.client().await.charge(request).await.unwrap_err();
    let mut health = HealthClient::new(serving.channel().await);
    health.check(HealthCheckRequest::default()).await.unwrap_err();
    // Health is no call; a method that there is not is one, whoever asks for it.
    let mut events = EventServiceClient::new(serving.channel().await);
    events.subscribe(SubscribeRequest::default()).await.unwrap_err();
    let (_, metrics) = get(&serving.admin, "/metrics").await;
    let counts = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("rpc_server_call_duration_seconds_count{rpc_method="));
    let denied = "rpc_response_status_code=\"PERMISSION_DENIED\",rpc_system_name=\"grpc\"} 1";
    let method = "\"zentra.gateway.v1.PaymentService/Charge\"";
    let wanted = ["\"_OTHER\"", method].map(|method| format!("{method},{denied}"));
    assert_eq!(counts.collect::<Vec<_>>(), wanted, "{metrics}");
    serving.signal("TERM").await;
    let (_, log) = serving.end().await;
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let calls: Vec<Value> = lines.filter(|line| line["message"] == "call").collect();
    // The third is told of with the second, within a second.
    let [charge, check] = &calls[..] else { panic!("{log}") };
    let told = ["caller", "duration_ms", "operation", "outcome", "request_id", "trace_id"];
    assert_eq!(fields(charge), told, "{charge:#}");
    assert_eq!((&charge["operation"], &charge["trace_id"]), (&"charge".into(), &TRACE.into()));
    assert_eq!(fields(check), ["caller", "outcome", "request_id"], "{check:#}");
    for line in [charge, check] {
        assert_eq!(line["outcome"], "CALLER_NOT_ALLOWED", "{line:#}");
    }
}
