use clap::Parser;

use super::*;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: ServeArgs,
}

fn read(flags: &[&str], key: Option<&str>) -> Result<Settings, String> {
    let args = Command::parse_from(["serve", "--store=memory:"].iter().chain(flags)).args;
    Settings::read(&args, key.map(SecretString::from)).map_err(|faults| faults.to_string())
}

#[test]
fn a_key_is_all_that_a_sandbox_needs() {
    let settings = read(&[], Some("sk_sandbox_a1")).ok().unwrap();
    assert_eq!(settings.zentra_url.as_str(), "https://sandbox.api.usezentra.com");
    assert_eq!(settings.environment(), Environment::Sandbox);
    assert_eq!(settings.card_data, CardData::Refuse);
}

#[test]
fn every_fault_is_told_at_once() {
    let faults = read(
        &[
            "--listen=nowhere,unix:relative,0.0.0.0:1",
            "--admin-listen=x",
            "--zentra-url=http://zentra.internal",
            "--zentra-key-file=/does/not/exist",
            "--account=a b",
            "--caller=/",
            "--card-data=maybe",
            "--minimum-deadline-ms=0",
            "--default-deadline-seconds=1h",
            "--connect-timeout-ms=-1",
            "--drain-seconds=99999",
        ],
        None,
    )
    .err()
    .unwrap();
    insta::assert_snapshot!(faults);
}

#[test]
fn a_public_key_is_refused_with_a_sentence_that_says_what_to_do() {
    let fault = read(&[], Some("pk_live_a1")).err().unwrap();
    assert!(fault.contains("this is a public key (pk_...)"), "{fault}");
    assert!(!fault.contains("a1"));
}

#[test]
fn a_key_for_another_environment_than_the_host_is_refused() {
    let fault = read(&["--zentra-url=https://api.usezentra.com"], Some("sk_sandbox_a1"));
    assert!(fault.err().unwrap().contains("use a key of the same environment"));
}

#[test]
fn a_key_comes_from_one_place_and_never_shows() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "sk_simulated_topsecret\n").unwrap();
    let flag = format!("--zentra-key-file={}", file.path().display());
    let url = "--zentra-url=http://127.0.0.1:1";
    let shown = show(&read(&[&flag, url], None).ok().unwrap());
    assert!(shown.contains("sk_simulated_***") && !shown.contains("topsecret"));
    let both = read(&[&flag, url], Some("sk_simulated_b")).err().unwrap();
    assert!(both.contains("give one of them"), "{both}");
}
