//! Unix sockets: whoever may open one, or only certain users.

use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::process::{Serving, command, run};
use crate::support::requests;
use crate::support::stub::{Reply, Stub};
use crate::support::told::refused;

/// The user that runs this test.
fn own_uid() -> u32 {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap())
}

async fn serving(uids: Option<u32>) -> (tempfile::TempDir, Stub, Serving) {
    let folder = tempfile::tempdir().unwrap();
    let stub = Stub::always(Reply::new(500, "")).await;
    let mut flags = vec![format!("--listen=unix:{}/socket", folder.path().display())];
    flags.push("--audit-log=stderr".to_owned());
    flags.extend(uids.map(|uid| format!("--unix-peer-uids={uid},4294967294")));
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let serving = Serving::start(&stub.url, &flags).await;
    (folder, stub, serving)
}

#[tokio::test]
async fn a_user_on_the_list_calls_as_the_configured_caller() {
    for uids in [None, Some(own_uid())] {
        let (_folder, stub, serving) = serving(uids).await;
        let mut client = serving.client().await;
        client.get_charge(requests::get_charge("order-1")).await.unwrap_err();
        assert!(!stub.seen().is_empty(), "Zentra was asked");
    }
}

#[tokio::test]
async fn another_user_may_call_nothing() {
    let (_folder, stub, serving) = serving(Some(own_uid() + 1)).await;
    let mut client = serving.client().await;
    let expected = "PermissionDenied CALLER_NOT_ALLOWED money_moved=unknown sent=false; never \
                    again";
    assert_eq!(refused(client.charge(requests::charge("order-1")).await), expected);
    let mut health = HealthClient::new(serving.channel().await);
    assert_eq!(refused(health.check(HealthCheckRequest::default()).await), expected);
    assert!(stub.seen().is_empty(), "nothing reaches Zentra");
    serving.signal("TERM").await;
    let (_, log) = serving.end().await;
    let audited = |line: &&str| line.contains("\"audit\":") && line.contains("CALLER_NOT_ALLOWED");
    assert_eq!(log.lines().filter(audited).count(), 1, "the attempt to pay is on record: {log}");
}

#[tokio::test]
async fn users_that_are_no_numbers_are_told_with_the_other_faults() {
    let mut serve = command(&["serve", "--unix-peer-uids=root", "--connections=0"]);
    serve.args(["--connection-age-seconds=-1"]).env("ZENTRA_SECRET_KEY", "sk_sandbox_a");
    let ended = run(serve).await;
    assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{ended:?}");
    for fault in [
        "4 settings are wrong",
        "--unix-peer-uids (SIDECAR_UNIX_PEER_UIDS) is given, but --listen has no unix: address",
        "--unix-peer-uids (SIDECAR_UNIX_PEER_UIDS) must be numbers of users",
        "--connections (SIDECAR_CONNECTIONS) must be a whole number from 1 to 65536",
        "--connection-age-seconds (SIDECAR_CONNECTION_AGE_SECONDS) must be a whole number",
    ] {
        assert!(ended.stderr.contains(fault), "{}", ended.stderr);
    }
}
