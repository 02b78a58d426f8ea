//! Unix sockets: whoever may open one, or only certain users.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::process::{Ended, Serving, command, connect, get, run};
use crate::support::requests;
use crate::support::sidecar::Client;
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

/// The mode of a socket's file, and how a client of another user fares, under a umask that keeps
/// everybody else out.
async fn as_another_user(uids: &[&str]) -> (u32, Ended) {
    const ANOTHER: u32 = 54_321;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let stub = Stub::always(Reply::new(500, "")).await;
    let mut flags = vec![format!("--listen=unix:{}", path("socket").display())];
    flags.extend(uids.iter().map(|uid| format!("--unix-peer-uids={uid}")));
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let started = Serving::command(&stub.url, &flags);
    let serving = Serving::of(under_umask("077", started.as_std())).await;
    // It may pass the folder, and no more.
    let set = |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode));
    set(folder.path(), 0o711).unwrap();
    let program = path("zentra-sidecar");
    std::fs::copy(env!("CARGO_BIN_EXE_zentra-sidecar"), &program).unwrap();
    set(&program, 0o755).unwrap();
    let mut client = tokio::process::Command::new(program);
    client.args(["health", "--timeout-ms=10000", "--listen", &serving.grpc]);
    let output = client.env_clear().uid(ANOTHER).gid(ANOTHER).current_dir("/").output().await;
    let output = output.expect("a client of another user can be started by root only: run as root");
    let mode = std::fs::metadata(path("socket")).unwrap().permissions().mode() & 0o777;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    (mode, Ended { code: output.status.code(), stdout, stderr })
}

/// The same command, started by a shell with this umask.
fn under_umask(umask: &str, command: &std::process::Command) -> tokio::process::Command {
    let mut shell = tokio::process::Command::new("sh");
    shell.args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")]);
    shell.arg(command.get_program()).args(command.get_args()).env_clear();
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    shell
}

#[tokio::test]
async fn a_user_on_the_list_may_open_the_socket_whatever_the_umask() {
    let (mode, ended) = as_another_user(&["54321"]).await;
    assert_eq!(mode, 0o666);
    assert_eq!((ended.code, ended.stdout.trim()), (Some(0), "SERVING"), "{ended:?}");
    let (mode, ended) = as_another_user(&["54322"]).await;
    assert_eq!(mode, 0o666);
    assert!(ended.code == Some(1) && ended.stderr.contains("may not call"), "{ended:?}");
    // Without a list the file's mode says who may call.
    let (mode, ended) = as_another_user(&[]).await;
    assert_eq!(mode, 0o700);
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""), "{ended:?}");
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
    // Not that of the service that the socket is for.
    let line: serde_json::Value = serde_json::from_str(log.lines().find(audited).unwrap()).unwrap();
    assert_eq!(line["caller"], format!("uid-{}", own_uid()), "{line:#}");
}

/// Whoever stays below what one connection may ask, and comes again and again, fills no log.
#[tokio::test]
async fn ten_thousand_refused_calls_leave_few_lines_and_each_is_counted() {
    const CALLERS: usize = 8;
    let (_folder, _stub, serving) = serving(Some(own_uid() + 1)).await;
    let began = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let address = serving.grpc.clone();
        callers.spawn(async move {
            for _ in 0..25 {
                let mut client = Client::new(connect(&address).await.unwrap());
                for _ in 0..25 {
                    let refused = client.charge(requests::charge("order-1")).await.unwrap_err();
                    assert_eq!(refused.code(), tonic::Code::PermissionDenied, "{refused}");
                    let refused = client.get_charge(requests::get_charge("order-1")).await;
                    assert_eq!(refused.unwrap_err().code(), tonic::Code::PermissionDenied);
                }
            }
        });
    }
    callers.join_all().await;
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap() + 2;
    let (_, metrics) = get(&serving.admin, "/metrics").await;
    let counted = |operation: &str| {
        let of = |line: &&str| {
            line.starts_with("zentra_sidecar_call_errors_total")
                && line.contains("CALLER_NOT_ALLOWED")
                && line.contains(&format!("\"{operation}\""))
        };
        let line = metrics.lines().find(of).unwrap_or_else(|| panic!("{metrics}"));
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    assert_eq!((counted("charge"), counted("get_charge")), (5000, 5000));
    serving.signal("TERM").await;
    let (_, log) = serving.end().await;
    let lines: Vec<serde_json::Value> = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &serde_json::Value| {
            [&line["outcome"], &line["reason"]].iter().any(|it| **it == "CALLER_NOT_ALLOWED")
        })
        .collect();
    let (audit, log): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line["audit"].is_string());
    // A line stands for itself, or for those that it counts.
    let told = |lines: &[&serde_json::Value]| -> u64 {
        lines.iter().map(|line| line["unsaid"].as_u64().unwrap_or(1)).sum()
    };
    assert_eq!((told(&audit), told(&log)), (5000, 10_000));
    assert!(audit.len() <= seconds && log.len() <= 2 * seconds, "{seconds} s: {lines:#?}");
    assert!(audit[0]["unsaid"].is_null() && audit[0]["operation"] == "charge", "{}", audit[0]);
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
