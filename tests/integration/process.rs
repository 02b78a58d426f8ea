//! What the process keeps to itself.

use std::os::unix::process::ExitStatusExt as _;

use clap::CommandFactory as _;
use zentra_sidecar::cli::Cli;

use crate::support::process::{Serving, command, run};
use crate::support::stub::{Reply, Stub};

/// Started by a shell that allows core dumps of any size.
#[tokio::test]
async fn a_crash_leaves_no_core_dump() {
    let stub = Stub::always(Reply::new(500, "")).await;
    let serving = Serving::start_by("ulimit -c unlimited; exec \"$0\" \"$@\"", &stub.url).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", serving.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let numbers: Vec<_> = core.split_whitespace().skip(4).take(2).collect();
    assert_eq!(numbers, ["0", "0"], "{core}");
    serving.signal("ABRT").await;
    let (status, log) = serving.end().await;
    assert_eq!(status.signal(), Some(6), "{log}");
    assert!(!status.core_dumped());
}

/// Arguments can be read by every process of the machine: a secret comes from a file or, for
/// those that must, from the environment.
#[test]
fn no_flag_takes_a_secret() {
    let mut commands = vec![Cli::command()];
    while let Some(command) = commands.pop() {
        for argument in command.get_arguments() {
            let name = argument.get_id().as_str().to_ascii_lowercase();
            let is_secret = ["key", "secret", "password", "token", "credential"]
                .iter()
                .any(|word| name.split('_').any(|part| part == *word));
            // The simulator's key and secret are its users' to choose, and open nothing.
            if !is_secret || command.get_name() == "simulate" {
                continue;
            }
            // A payment's key, the hours that Zentra remembers one, and a payment token's id of which
            // a policy is asked, are no secrets.
            let is_open = ["key", "zentra_key_retention_hours", "token"].contains(&&*name);
            assert!(is_open || name.ends_with("_file"), "{} --{name}", command.get_name());
        }
        commands.extend(command.get_subcommands().cloned());
    }
}

#[tokio::test]
async fn card_data_is_refused_unless_the_settings_say_otherwise() {
    let mut config = command(&["config"]);
    config.env("ZENTRA_SECRET_KEY", "sk_sandbox_a");
    let ended = run(config).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let line = ended.stdout.lines().find(|line| line.starts_with("card-data ")).unwrap();
    assert!(line.ends_with("= refuse"), "{line}");
}

/// What an operator's own settings bring into a line stays within it.
#[tokio::test]
async fn a_log_line_is_one_line_without_control_characters() {
    let folder = tempfile::tempdir().unwrap();
    let stub = Stub::always(Reply::new(500, "")).await;
    let hostile = "a\n{\"message\":\"call\"}\u{1b}[31m";
    let listen = format!("--listen=unix:{}/{hostile}", folder.path().display());
    let serving = Serving::start(&stub.url, &[&listen]).await;
    assert!(serving.grpc.ends_with(hostile), "it is told, and decodes to what it was");
    for line in serving.log.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
        assert!(!line.contains('\u{1b}'), "{line}");
    }
}
