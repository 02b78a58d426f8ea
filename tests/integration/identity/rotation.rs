//! Certificates, keys and bundles that change while calls go on.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::AsyncReadExt;
use zentra_sidecar::simulator::{self, Options};

use super::Mesh;
use crate::support::pki::{self, Authority, CHECKOUT, Pair, client_config, shake_hands};
use crate::support::process::{command, run};
use crate::support::requests;
use crate::support::sidecar::{Client, StandingClock};
use crate::support::stub::{Reply, Stub};

/// Writes a file as one step, as those who rotate certificates do.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

async fn calls(client: &mut Client) -> Result<(), tonic::Status> {
    client.list_charges(requests::list_charges(1, "")).await.map(drop)
}

/// Whether a client that trusts only `trusted`, and shows `shown`, gets through.
async fn gets_through(address: &str, trusted: &Authority, shown: &Pair) -> bool {
    let config = Arc::new(client_config(&trusted.pem(), Some(shown)));
    match shake_hands(address, config).await {
        Ok(mut stream) => stream.read_u8().await.is_ok(),
        Err(_) => false,
    }
}

#[tokio::test]
async fn no_call_fails_while_authorities_and_certificates_rotate() {
    let mesh = Mesh::new();
    let zentra = simulator::start(Options::default(), Arc::new(StandingClock)).await.unwrap();
    let mut serving = mesh.serve(&zentra.url()).await;
    let (old, new) = (&mesh.authority, Authority::new());
    let both = format!("{}{}", old.pem(), new.pem());
    let (done, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut standing = mesh.client(&serving.grpc, CHECKOUT).await;
    // Callers that make a new connection every few calls. They trust both authorities, and show
    // certificates of the old one until the new one is known to all.
    let mut callers = Vec::new();
    let shown = Arc::new(std::sync::Mutex::new(Arc::new(old.service(CHECKOUT))));
    for _ in 0..4 {
        let (done, made, shown) = (done.clone(), made.clone(), shown.clone());
        let (both, address) = (both.clone(), serving.grpc.clone());
        callers.push(tokio::spawn(async move {
            while !done.load(Ordering::Relaxed) {
                let pair = shown.lock().unwrap().clone();
                let channel = pki::channel(&address, &both, &pair).await.unwrap();
                let mut client = Client::new(channel);
                for _ in 0..5 {
                    calls(&mut client).await.unwrap();
                    made.fetch_add(1, Ordering::Relaxed);
                }
            }
        }));
    }
    const TAKEN: &str = "new TLS files are in force";
    replace(&mesh.file("ca.pem"), &both);
    serving.logged(TAKEN).await;
    // From here on clients may show the new authority's certificates, and so does the sidecar.
    *shown.lock().unwrap() = Arc::new(new.service(CHECKOUT));
    let pair = new.server();
    replace(&mesh.file("key.pem"), &pair.key);
    replace(&mesh.file("cert.pem"), &pair.certificate);
    serving.logged(TAKEN).await;
    let stale = old.service(CHECKOUT);
    assert!(gets_through(&serving.grpc, &new, &stale).await, "both are trusted");
    replace(&mesh.file("ca.pem"), &new.pem());
    serving.logged(TAKEN).await;
    assert!(!gets_through(&serving.grpc, &new, &stale).await, "the old one no longer is");
    assert!(gets_through(&serving.grpc, &new, &new.service(CHECKOUT)).await);
    done.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    calls(&mut standing).await.unwrap();
    assert!(made.load(Ordering::Relaxed) > 40, "{made:?} calls");
}

#[tokio::test]
async fn half_of_a_pair_keeps_the_old_one_and_raises_an_alert() {
    let mesh = Mesh::new();
    let stub = Stub::always(Reply::new(500, "")).await;
    let mut serving = mesh.serve(&stub.url).await;
    let (old, new) = (&mesh.authority, Authority::new());
    let caller = old.service(CHECKOUT);
    const ALERT: &str = "the TLS files are wrong; the last good ones stay in force";
    let pair = new.server();
    for (name, text) in [
        ("cert.pem", pair.certificate.as_str()),
        ("cert.pem", ""),
        ("cert.pem", &pair.certificate[..pair.certificate.len() / 2]),
        ("ca.pem", "nothing"),
    ] {
        replace(&mesh.file(name), text);
        serving.logged(ALERT).await;
        assert!(gets_through(&serving.grpc, old, &caller).await, "{name} {text:.20}");
    }
    replace(&mesh.file("ca.pem"), &old.pem());
    replace(&mesh.file("cert.pem"), &pair.certificate);
    replace(&mesh.file("key.pem"), &pair.key);
    serving.logged("new TLS files are in force").await;
    assert!(!gets_through(&serving.grpc, old, &caller).await);
    assert!(gets_through(&serving.grpc, &new, &caller).await);
}

#[tokio::test]
async fn an_expired_certificate_does_not_replace_one_that_is_good() {
    let mesh = Mesh::new();
    let stub = Stub::always(Reply::new(500, "")).await;
    let mut serving = mesh.serve(&stub.url).await;
    let mut params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let expired = mesh.authority.sign(&params);
    replace(&mesh.file("key.pem"), &expired.key);
    replace(&mesh.file("cert.pem"), &expired.certificate);
    serving.logged("the TLS files are wrong; the last good ones stay in force").await;
    let caller = mesh.authority.service(CHECKOUT);
    assert!(gets_through(&serving.grpc, &mesh.authority, &caller).await);
}

fn make_fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

/// As on a mount that is gone: what is never read to its end ends neither the looking nor, with the
/// settings, the start.
#[tokio::test]
async fn a_file_that_hangs_is_told_once_and_good_ones_in_its_place_are_taken() {
    const ALERT: &str = "the TLS files are wrong; the last good ones stay in force";
    let mesh = Mesh::new();
    let stub = Stub::always(Reply::new(500, "")).await;
    let mut serving = mesh.serve(&stub.url).await;
    let hanging = mesh.file("hanging");
    make_fifo(&hanging);
    std::fs::rename(&hanging, mesh.file("key.pem")).unwrap();
    let told = serving.logged(ALERT).await;
    let fault = "the key's file cannot be read: not read within 5 s";
    assert!(told.contains(fault), "{told}");
    let caller = mesh.authority.service(CHECKOUT);
    assert!(gets_through(&serving.grpc, &mesh.authority, &caller).await);
    let new = Authority::new();
    let pair = new.server();
    replace(&mesh.file("key.pem"), &pair.key);
    replace(&mesh.file("cert.pem"), &pair.certificate);
    replace(&mesh.file("ca.pem"), &new.pem());
    serving.logged("new TLS files are in force").await;
    assert!(gets_through(&serving.grpc, &new, &new.service(CHECKOUT)).await);
    serving.signal("TERM").await;
    let (status, _) = serving.end().await;
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn files_that_hang_or_have_expired_are_told_at_the_start_with_all_faults() {
    let mesh = Mesh::new();
    let mut params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    std::fs::write(mesh.file("cert.pem"), mesh.authority.sign(&params).certificate).unwrap();
    std::fs::write(mesh.file("ca.pem"), "nothing").unwrap();
    let told = async || {
        let mut config = command(&["config", "--admin-listen=127.0.0.1:0", "--connections=0"]);
        config.env("ZENTRA_SECRET_KEY", "sk_sandbox_a").args(mesh.flags());
        config.arg("--listen=tls://127.0.0.1:0");
        let ended = run(config).await;
        assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{ended:?}");
        ended.stderr
    };
    let expired = told().await;
    for fault in [
        "3 settings are wrong",
        "--tls-cert-file (SIDECAR_TLS_CERT_FILE) holds a certificate that has expired on \
         2020-01-01T00:00:00Z",
        "--tls-client-ca-file (SIDECAR_TLS_CLIENT_CA_FILE) holds no certificate",
        "--connections (SIDECAR_CONNECTIONS) must be",
    ] {
        assert!(expired.contains(fault), "{fault}: {expired}");
    }
    for name in ["cert.pem", "ca.pem"] {
        std::fs::remove_file(mesh.file(name)).unwrap();
        make_fifo(&mesh.file(name));
    }
    let hanging = told().await;
    for fault in [
        "3 settings are wrong",
        "--tls-cert-file (SIDECAR_TLS_CERT_FILE) cannot be read: not read within 5 s",
        "--tls-client-ca-file (SIDECAR_TLS_CLIENT_CA_FILE) cannot be read: not read within 5 s",
    ] {
        assert!(hanging.contains(fault), "{fault}: {hanging}");
    }
}

/// Kubernetes mounts a secret as links to a folder behind a link, which it swaps.
#[tokio::test]
async fn the_swapped_link_of_a_mounted_secret_is_seen() {
    use std::os::unix::fs::symlink;
    let mesh = Mesh::new();
    let stub = Stub::always(Reply::new(500, "")).await;
    let folder = mesh.folder.path();
    let publish = |version: &str, authority: &Authority| {
        let version = folder.join(version);
        std::fs::create_dir(&version).unwrap();
        authority.server().write(&version);
        std::fs::write(version.join("ca.pem"), authority.pem()).unwrap();
        symlink(&version, folder.join("..data_tmp")).unwrap();
        std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    };
    publish("..1", &mesh.authority);
    for name in ["cert.pem", "key.pem", "ca.pem"] {
        std::fs::remove_file(mesh.file(name)).unwrap();
        symlink(Path::new("..data").join(name), mesh.file(name)).unwrap();
    }
    let mut serving = mesh.serve(&stub.url).await;
    let new = Authority::new();
    publish("..2", &new);
    serving.logged("new TLS files are in force").await;
    assert!(gets_through(&serving.grpc, &new, &new.service(CHECKOUT)).await);
    assert!(!gets_through(&serving.grpc, &new, &mesh.authority.service(CHECKOUT)).await);
}

#[tokio::test]
async fn wrong_files_and_names_are_listed_before_anything_is_bound() {
    let told = async |flags: &[String]| {
        let mut serve = command(&["serve", "--admin-listen=127.0.0.1:0"]);
        serve.env("ZENTRA_SECRET_KEY", "sk_sandbox_a").args(flags);
        if !flags.iter().any(|flag| flag.starts_with("--listen")) {
            serve.arg("--listen=tls://127.0.0.1:0");
        }
        let ended = run(serve).await;
        assert_eq!((ended.code, &*ended.stdout), (Some(2), ""), "{ended:?}");
        ended.stderr
    };
    let required = told(&[]).await;
    for flag in ["cert-file", "key-file", "client-ca-file", "trust-domain", "allowed-ids"] {
        let variable = flag.replace('-', "_").to_ascii_uppercase();
        let fault = format!("--tls-{flag} (SIDECAR_TLS_{variable}) is required with a tls://");
        assert!(required.contains(&fault), "{required}");
    }
    let mesh = Mesh::new();
    let mut flags = mesh.flags();
    flags.push("--listen=127.0.0.1:0".to_owned());
    let unused = told(&flags).await;
    assert!(unused.contains("5 settings are wrong"), "{unused}");
    assert!(unused.contains("is given, but --listen has no tls:// address"), "{unused}");

    let with = |name: &str, value: &str| {
        let mut flags = mesh.flags();
        flags.retain(|flag| !flag.starts_with(name));
        flags.push(format!("{name}={value}"));
        flags
    };
    let other = Mesh::of(Authority::with_uris(&["spiffe://other.example"]));
    for (flags, fault) in [
        (with("--tls-cert-file", "/nowhere"), "cannot be read: No such file"),
        (with("--tls-cert-file", "/dev/null"), "holds no certificate in PEM form"),
        (with("--tls-key-file", "/dev/null"), "holds no private key in PEM form"),
        (
            with("--tls-key-file", &other.file("key.pem").display().to_string()),
            "does not hold the key of the certificate",
        ),
        (
            with("--tls-client-ca-file", &mesh.file("cert.pem").display().to_string()),
            "holds a certificate that is not that of an authority",
        ),
        (
            with("--tls-client-ca-file", &other.file("ca.pem").display().to_string()),
            "holds a certificate that is not of the trust domain mesh.example",
        ),
        (with("--tls-trust-domain", "Mesh"), "must name a trust domain"),
        (with("--tls-allowed-ids", "shop/checkout"), "must be spiffe://TRUST-DOMAIN/PATH"),
        (with("--tls-allowed-ids", "spiffe://other.example/*"), "of another trust domain"),
    ] {
        let told = told(&flags).await;
        assert!(told.contains(fault), "{fault}: {told}");
    }
}
