//! A broken configuration: every fault at once, exit code 2, nothing bound.

use std::net::TcpListener;

use crate::support::process::{command, run};

#[tokio::test]
async fn every_fault_is_listed_and_nothing_is_bound() {
    // Bound here, so that a `serve` that binds before it reads would say so.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let mut serve = command(&["serve", &format!("--listen={taken},0.0.0.0:0,unix:relative")]);
    serve.args(["--admin-listen=nowhere", "--account=..", "--caller=a b", "--card-data=perhaps"]);
    serve.args(["--minimum-deadline-ms=0", "--deadline-margin-ms=-1", "--drain-seconds=forever"]);
    serve.args(["--zentra-url=http://169.254.169.254/latest"]);
    serve.env_remove("SIDECAR_STORE");
    serve.env("SIDECAR_ATTEMPT_TIMEOUT_SECONDS", "301").env("ZENTRA_SECRET_KEY", "hunter2");
    let ended = run(serve).await;
    assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{ended:?}");
    assert!(!ended.stderr.contains("hunter2") && !ended.stderr.contains(&taken.to_string()));
    insta::assert_snapshot!(ended.stderr);
}

/// As on a mount that is gone.
#[tokio::test]
async fn a_key_file_that_hangs_is_told_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let made = tokio::process::Command::new("mkfifo").arg(&file).status().await;
    assert!(made.unwrap().success(), "mkfifo");
    let serve = command(&["serve", &format!("--zentra-key-file={}", file.display())]);
    let ended = run(serve).await;
    assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{ended:?}");
    assert!(ended.stderr.contains("not read within 5 s"), "{}", ended.stderr);
}

/// What `serve` says with this key and address.
async fn told(key: &str, zentra_url: &str) -> String {
    let mut serve = command(&["serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"]);
    serve.env("ZENTRA_SECRET_KEY", key);
    if !zentra_url.is_empty() {
        serve.args(["--zentra-url", zentra_url]);
    }
    let ended = run(serve).await;
    assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{key} {zentra_url}: {ended:?}");
    assert!(!ended.stderr.contains("topsecret"), "{}", ended.stderr);
    ended.stderr
}

#[tokio::test]
async fn keys_that_do_not_belong_here() {
    for (key, zentra_url, sentence) in [
        ("pk_live_topsecret", "", "this is a public key (pk_...)"),
        ("pk_sandbox_topsecret", "", "this is a public key (pk_...)"),
        ("topsecret", "", "must begin with sk_sandbox_, sk_live_ or sk_simulated_"),
        ("sk_live_", "", "must be 1 to 512 letters, digits and _ or - after its prefix"),
        ("sk_sandbox_top secret", "", "must be 1 to 512 letters"),
        (
            "sk_sandbox_topsecret",
            "https://api.usezentra.com",
            "the host is Zentra's live and the key is for sandbox",
        ),
        (
            "sk_live_topsecret",
            "https://sandbox.api.usezentra.com",
            "the host is Zentra's sandbox and the key is for live",
        ),
        (
            "sk_simulated_topsecret",
            "https://API.usezentra.com.",
            "the host is Zentra's live and the key is for simulated",
        ),
        ("sk_simulated_topsecret", "", "is required with a simulated key"),
    ] {
        let told = told(key, zentra_url).await;
        assert!(told.contains(sentence), "{told}");
    }
}

#[tokio::test]
async fn addresses_that_could_lead_the_key_astray() {
    for (zentra_url, sentence) in [
        ("http://zentra.internal", "must be https"),
        ("http://10.0.0.1", "must be https"),
        ("http://localhost.evil.example", "must be https"),
        ("http://127.0.0.1.evil.example", "must be https"),
        ("http://127.0.0.1@evil.example", "must be https"),
        ("https://169.254.169.254", "must not be a link-local or cloud metadata address"),
        ("https://0xa9fea9fe", "must not be a link-local or cloud metadata address"),
        ("https://[fe80::1]", "must not be a link-local or cloud metadata address"),
        ("https://[::ffff:169.254.169.254]", "must not be a link-local or cloud metadata address"),
        ("http://metadata.google.internal", "must not be a link-local or cloud metadata address"),
        ("https://user:topsecret@127.0.0.1", "must hold no user name"),
        ("https://127.0.0.1/base", "must hold no user name"),
        ("https://127.0.0.1/?key=topsecret", "must hold no user name"),
        ("ftp://127.0.0.1", "must be an absolute address"),
        ("usezentra.com", "must be an absolute address"),
    ] {
        let told = told("sk_simulated_topsecret", zentra_url).await;
        assert!(told.contains(sentence), "{zentra_url}: {told}");
    }
}

#[tokio::test]
async fn a_key_given_as_the_name_of_its_file_is_not_repeated() {
    for key in ["sk_live_topsecret", "pk_live_topsecret", " sk_sandbox_topsecret"] {
        let ended = run(command(&["serve", "--zentra-key-file", key])).await;
        assert_eq!(ended.code, Some(2));
        assert!(!ended.stderr.contains("topsecret"), "{}", ended.stderr);
        assert!(ended.stderr.contains("--zentra-key-file"), "{}", ended.stderr);
    }
}

/// Zentra's key and card numbers would leave the machine in the clear.
#[tokio::test]
async fn plain_http_goes_through_no_proxy_elsewhere() {
    for (proxy, code) in [("http://10.0.0.9:3128", 2), ("http://localhost:3128", 0)] {
        let mut config = command(&["config", "--zentra-url=http://127.0.0.1:8089"]);
        config.args(["--zentra-proxy", proxy]).env("ZENTRA_SECRET_KEY", "sk_simulated_a");
        let ended = run(config).await;
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert_eq!(ended.stderr.contains("must be on this machine"), code == 2, "{ended:?}");
    }
}

#[tokio::test]
async fn no_secret_that_stands_for_its_file_is_repeated() {
    let pem = "-----BEGIN PRIVATE KEY-----\ntopsecret\n-----END PRIVATE KEY-----";
    let tls = ["--tls-cert-file=/nowhere", "--tls-client-ca-file=/nowhere"];
    let hex = "0123456789abcdef".repeat(4);
    for (name, secret, word) in [
        ("--zentra-key-file", "topsecret", "topsecret"),
        ("--fingerprint-key-file", &*hex, &*hex),
        ("--fingerprint-key-file", "/topsecret/with+slash=", "topsecret"),
        ("--tls-key-file", pem, "topsecret"),
    ] {
        let mut serve = command(&["serve", "--listen=tls://127.0.0.1:0"]);
        serve.args(["--tls-trust-domain=mesh", "--tls-allowed-ids=spiffe://mesh/*"]).args(tls);
        serve.arg(format!("{name}={secret}"));
        let ended = run(serve).await;
        assert_eq!(ended.code, Some(2));
        assert!(!ended.stderr.contains(word), "{}", ended.stderr);
        assert!(ended.stderr.contains(name), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn a_wrong_log_filter_is_told_before_anything_is_bound() {
    let mut serve = command(&["serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"]);
    serve.env("ZENTRA_SECRET_KEY", "sk_sandbox_a").env("SIDECAR_LOG", "a=b=c");
    let ended = run(serve).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("SIDECAR_LOG"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_wrong_log_filter_is_listed_with_the_other_faults() {
    for words in [["serve"].as_slice(), &["config"], &["reconcile"], &["store", "init"]] {
        let mut wrong = command(words);
        wrong.args(["--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--card-data=perhaps"]);
        wrong.env("ZENTRA_SECRET_KEY", "sk_sandbox_a").env("SIDECAR_LOG", "a=b=c");
        let ended = run(wrong).await;
        assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{ended:?}");
        for part in ["2 settings are wrong", "--card-data (SIDECAR_CARD_DATA)", "\n  SIDECAR_LOG"] {
            assert!(ended.stderr.contains(part), "{words:?}: {}", ended.stderr);
        }
    }
    let mut dev = command(&["dev", "--once", "--listen=nowhere", "--admin-listen=127.0.0.1:0"]);
    dev.env("SIDECAR_LOG", "a=b=c");
    let ended = run(dev).await;
    assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{ended:?}");
    assert!(ended.stderr.contains("2 settings are wrong"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_number_below_zero_is_a_fault_of_its_setting() {
    let mut serve = command(&["serve", "--drain-seconds", "-1", "--lease-seconds", "-2"]);
    serve.args(["--retention-hours", "-3", "--store-timeout-ms", "-4"]);
    serve.env("ZENTRA_SECRET_KEY", "sk_sandbox_a");
    let ended = run(serve).await;
    assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{ended:?}");
    for flag in ["--drain-seconds", "--lease-seconds", "--retention-hours", "--store-timeout-ms"] {
        let fault = format!("\n  {flag} (SIDECAR_");
        assert!(ended.stderr.contains(&fault), "{flag}: {}", ended.stderr);
    }
}

/// Each complaint about a policy is told among the settings' faults, and nothing is served.
#[tokio::test]
async fn a_broken_policy_ends_with_2_and_every_complaint() {
    let folder = tempfile::tempdir().unwrap();
    let rules = "permit(principal, action, resource) when { context.colour };\npermit(";
    std::fs::write(folder.path().join("a.cedar"), rules).unwrap();
    std::fs::write(folder.path().join("limits.toml"), "[[limit]]\nname = \"day\"\n").unwrap();
    let mut serve = command(&["serve", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"]);
    serve.args(["--store=memory:", "--policy-mode=perhaps", "--policy-candidate=/nowhere"]);
    serve.arg(format!("--policy={}", folder.path().display()));
    serve.env("ZENTRA_SECRET_KEY", "sk_sandbox_a1");
    let ended = run(serve).await;
    assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{ended:?}");
    insta::assert_snapshot!(ended.stderr.replace(&folder.path().display().to_string(), "FOLDER"));
}
