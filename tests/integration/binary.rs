//! The commands as a person or a supervisor runs them.

use std::os::unix::net::UnixListener;
use std::sync::Arc;

use tempfile::TempDir;
use zentra_sidecar::simulator::{self, Options};

use crate::support::process::{Serving, command, connect, run};
use crate::support::requests::{self, GOOD_CARD};
use crate::support::sidecar::{Client, KEY, StandingClock};
use crate::support::told::everything;

#[tokio::test]
async fn dev_once_runs_the_flow_and_ends_well() {
    let mut dev = command(&["dev", "--once", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"]);
    dev.arg("--simulator-listen=127.0.0.1:0");
    let ended = run(dev).await;
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    assert!(!ended.stdout.contains('\u{1b}'), "plain in a pipe");
    let steps: Vec<_> = ended.stdout.lines().filter(|line| line.contains(" ok  ")).collect();
    let rpcs: Vec<_> = steps.iter().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    let expected = [
        "Tokenize",
        "Charge",
        "Renew",
        "Verify",
        "Renew",
        "Refund",
        "GetCharge",
        "GetRefund",
        "ListCharges",
        "ListTokens",
    ];
    assert_eq!(rpcs, expected, "{}", ended.stdout);
    assert!(steps[2].contains("refused: TOKEN_NOT_READY"), "before the verify");
    assert!(steps[3].contains("token ready"));
    assert!(steps[4].contains("CHARGE_STATUS_SUCCEEDED"), "after the verify");
    let columns: Vec<_> = steps.iter().map(|line| line.find(" ok  ").unwrap()).collect();
    assert!(columns.iter().all(|column| *column == columns[0]), "aligned");
    for hint in ["grpcurl -plaintext", "buf curl", "/_simulator/ledger"] {
        assert!(ended.stdout.contains(hint), "{hint}");
    }
}

#[tokio::test]
async fn dev_with_a_wrong_setting_ends_with_2_and_binds_nothing() {
    let ended = run(command(&["dev", "--once", "--listen=nowhere", "--admin-listen=x"])).await;
    assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{ended:?}");
    assert!(ended.stderr.contains("2 settings are wrong"), "{}", ended.stderr);
}

#[tokio::test]
async fn serve_over_tcp_and_a_unix_socket_and_health_of_both() {
    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("sidecar.sock");
    let simulator = simulator::start(Options::default(), Arc::new(StandingClock)).await.unwrap();
    let listen = format!("--listen=127.0.0.1:0,unix:{}", socket.display());
    let serving = Serving::start(&simulator.url(), &[&listen]).await;
    assert!(serving.log.contains("remembered in this process's memory only"), "it says so");
    let (tcp, unix) = serving.grpc.split_once(',').unwrap();
    assert_eq!(unix, format!("unix:{}", socket.display()));
    for (number, address) in [tcp, unix].into_iter().enumerate() {
        let listen = format!("--listen={address}");
        let healthy = run(command(&["health", &listen])).await;
        assert_eq!((healthy.code, &*healthy.stdout), (Some(0), "SERVING\n"), "{healthy:?}");
        let mut client = Client::new(connect(address).await.unwrap());
        let mut card = requests::card(GOOD_CARD);
        card.idempotency_key = format!("key-{number}");
        client.tokenize(card).await.unwrap();
    }
    assert_eq!(simulator.ledger().tokens.len(), 2);
    serving.signal("TERM").await;
    let (status, log) = serving.end().await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!socket.exists(), "the socket's file is gone");
}

#[tokio::test]
async fn health_of_nobody_is_1() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let ended = run(command(&["health", &format!("--listen={address}")])).await;
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""));
    assert!(ended.stderr.contains(&format!("no answer at {address}")), "{}", ended.stderr);
    // Somebody listens and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("--listen={}", silent.local_addr().unwrap());
    let ended = run(command(&["health", &listen, "--timeout-ms=200"])).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("within 200 ms"), "{}", ended.stderr);
}

#[tokio::test]
async fn health_of_a_service_that_is_not_there_is_1() {
    let serving = Serving::start("http://127.0.0.1:1", &[]).await;
    let listen = format!("--listen={}", serving.grpc);
    let ended = run(command(&["health", &listen, "--service=nonsense"])).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
}

#[tokio::test]
async fn a_stale_socket_file_is_replaced_and_a_live_one_is_not() {
    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("sidecar.sock");
    // Dropping a listener leaves its file behind, as a killed process does.
    drop(UnixListener::bind(&socket).unwrap());
    let listen = format!("--listen=unix:{}", socket.display());
    let serving = Serving::start("http://127.0.0.1:1", &[&listen]).await;
    let healthy = run(command(&["health", &listen])).await;
    assert_eq!(healthy.code, Some(0), "{healthy:?}");

    let mut second = command(&["serve", &listen, "--admin-listen=127.0.0.1:0"]);
    second.args(["--zentra-url", "http://127.0.0.1:1"]).env("ZENTRA_SECRET_KEY", KEY);
    let second = run(second).await;
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.stderr.contains("Address in use") || second.stderr.contains("in use"));
    let healthy = run(command(&["health", &listen])).await;
    assert_eq!(healthy.code, Some(0), "the first goes on");
    drop(serving);

    // What is no socket is nobody's to remove.
    let file = folder.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    let listen = format!("--listen=unix:{}", file.display());
    let mut third = command(&["serve", &listen, "--admin-listen=127.0.0.1:0"]);
    third.args(["--zentra-url", "http://127.0.0.1:1"]).env("ZENTRA_SECRET_KEY", KEY);
    assert_eq!(run(third).await.code, Some(1));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
}

#[tokio::test]
async fn config_shows_every_setting_and_no_secret() {
    let mut config = command(&["config", "--account=shop", "--zentra-url=http://127.0.0.1:9"]);
    config.env("ZENTRA_SECRET_KEY", "sk_simulated_topsecret").env("SIDECAR_CALLER", "shop/web");
    let ended = run(config).await;
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    assert!(!ended.stdout.contains("topsecret"), "{}", ended.stdout);
    insta::assert_snapshot!(ended.stdout);
}

#[tokio::test]
async fn proto_writes_the_contract() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("proto");
    let ended = run(command(&["proto", "--out", out.to_str().unwrap()])).await;
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    let written = std::fs::read_dir(out.join("zentra/gateway/v1")).unwrap();
    let mut files = 0;
    for file in written {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap();
        let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("proto/zentra/gateway/v1")
            .join(name);
        assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(source).unwrap(), "{name:?}");
        assert!(ended.stdout.contains(path.to_str().unwrap()));
        files += 1;
    }
    assert!(files > 0);
}

#[tokio::test]
async fn a_live_key_is_refused_where_nothing_outlives_the_process() {
    let mut serve = command(&["serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"]);
    serve.env("ZENTRA_SECRET_KEY", "sk_live_topsecret");
    let ended = run(serve).await;
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("--store") && ended.stderr.contains("live"), "{ended:?}");
    assert!(!ended.stderr.contains("topsecret"), "{}", ended.stderr);
}

#[tokio::test]
async fn logs_hold_no_card_data_whatever_the_filter() {
    let simulator = simulator::start(Options::default(), Arc::new(StandingClock)).await.unwrap();
    let mut serve = command(&["serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"]);
    serve.args(["--card-data=accept", "--zentra-url", &simulator.url()]);
    serve.env("ZENTRA_SECRET_KEY", KEY).env("SIDECAR_LOG", "trace");
    let serving = Serving::of(serve).await;
    let mut client = serving.client().await;
    client.tokenize(requests::card(GOOD_CARD)).await.unwrap();
    let mut account = requests::bank_account("0000006975");
    account.idempotency_key = "key-2".into();
    client.tokenize(account).await.unwrap();
    let bad = client.tokenize(requests::card("4242424242424241")).await.unwrap_err();
    assert!(!everything(&bad).contains("4242424242424241"));
    drop(client);
    let log = serving.log.clone();
    serving.signal("TERM").await;
    let (status, rest) = serving.end().await;
    assert_eq!(status.code(), Some(0));
    let log = log + &rest;
    assert!(log.contains("\"operation\":\"tokenize\""), "the capture works");
    let decimal = |text: &str| {
        let bytes: Vec<_> = text.bytes().map(|it| it.to_string()).collect();
        bytes.join(", ")
    };
    for secret in [GOOD_CARD, "4242424242424241", "0000006975", "Ada Canary", "0000000000000000"] {
        assert!(!log.contains(secret), "{secret} is in the log");
        assert!(!log.contains(&hex::encode(secret)), "{secret} is in the log, in hex");
        assert!(!log.contains(&decimal(secret)), "{secret} is in the log, byte by byte");
    }
}
