//! When files are taken, and what stays of a key in memory.

use std::path::Path;
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::*;
use crate::memory_scan::Masked;

/// When the certificates of the tests are good.
const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn rules() -> Rules {
    Rules { trust_domain: TrustDomain::new("mesh.example").unwrap(), allowed: Vec::new() }
}

fn files(folder: &Path) -> Files {
    let file = |name: &str| folder.join(name);
    Files { certificate: file("cert.pem"), key: file("key.pem"), client_ca: file("ca.pem") }
}

/// An authority's certificate, which serves as one of the sidecar's own too, and its key.
fn authority() -> (String, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = key.serialize_pem();
    (CertifiedIssuer::self_signed(params, key).unwrap().pem(), pem)
}

/// Terms in force, whose bundle holds one authority.
fn terms() -> (TempDir, Terms, String) {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = authority();
    for (name, text) in [("cert.pem", &certificate), ("key.pem", &key), ("ca.pem", &certificate)] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let terms = Terms::read(files(folder.path()), rules(), NOW).unwrap();
    (folder, terms, certificate)
}

/// A bundle is cut nowhere that shows: the first of its certificates alone is a bundle too.
#[tokio::test(start_paused = true)]
async fn a_bundle_whose_writer_pauses_is_taken_whole() {
    let (folder, terms, old) = terms();
    let bundle = folder.path().join("ca.pem");
    let (first, second) = (authority().0, authority().0);
    let written = [&*first, &*second].concat();
    std::fs::write(&bundle, &first).unwrap();
    let half = terms.files.read(&Readings::default()).unwrap().digest();
    let writer = async {
        // Time passes here only when nothing is being read.
        sleep(SETTLE / 2).await;
        std::fs::write(&bundle, &written).unwrap();
    };
    let (looked, ()) = tokio::join!(terms.look(NOW), writer);
    looked.unwrap();
    let in_force = terms.in_force.load().digest;
    assert_ne!(in_force, half, "half of it was taken");
    assert_eq!(in_force, terms.files.read(&Readings::default()).unwrap().digest());
    assert!(!written.contains(&old));
}

/// Files that never rest are not taken, and are told of.
#[tokio::test(start_paused = true)]
async fn files_that_change_all_the_time_leave_the_old_ones_in_force() {
    let (folder, terms, old) = terms();
    let before = terms.in_force.load().digest;
    let bundle = folder.path().join("ca.pem");
    let others = [authority().0, [&*old, &*authority().0].concat()];
    std::fs::write(&bundle, &others[0]).unwrap();
    let writer = async {
        // Between two readings.
        sleep(SETTLE / 2).await;
        for text in others.iter().rev().cycle() {
            std::fs::write(&bundle, text).unwrap();
            sleep(SETTLE).await;
        }
    };
    let looked = tokio::select! {
        looked = terms.look(NOW) => looked,
        () = writer => unreachable!("it writes for ever"),
    };
    assert_eq!(looked, Err("they change all the time".to_owned()));
    assert_eq!(terms.in_force.load().digest, before);
}

fn make_fifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

/// Each look at a file that hangs leaves a thread behind, and no more than a few are.
#[tokio::test]
async fn no_more_readings_than_a_few_hang_at_once() {
    let (folder, terms, _) = terms();
    for name in ["cert.pem", "key.pem", "ca.pem"] {
        std::fs::remove_file(folder.path().join(name)).unwrap();
        make_fifo(&folder.path().join(name));
    }
    for expected in [3, 6, 9] {
        let fault = terms.look(NOW).await.unwrap_err();
        assert_eq!(fault.matches("cannot be read: not read within 5 s").count(), 3, "{fault}");
        assert_eq!(terms.readings.hanging(), expected);
    }
    let fault = terms.look(NOW).await.unwrap_err();
    assert_eq!(fault.matches("cannot be read: earlier readings hang").count(), 3, "{fault}");
    assert_eq!(terms.readings.hanging(), 9);
}

/// Made by another process, so that nothing of it is in this one's memory before.
#[test]
fn what_was_read_of_the_keys_file_is_wiped() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let curve = "ec_paramgen_curve:P-256";
    let (key, certificate) = (path("key.pem"), path("cert.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", curve, "-nodes", "-subj", "/CN=a"])
        .args(["-days", "2", "-keyout", &key, "-out", &certificate])
        .output()
        .expect("openssl is needed: scripts/test tools");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::copy(&certificate, path("ca.pem")).unwrap();
    let line = {
        let mut text = Zeroizing::new(String::with_capacity(4096));
        let mut file = std::fs::File::open(&key).unwrap();
        std::io::Read::read_to_string(&mut file, &mut text).unwrap();
        // The next ones hold the public key too.
        Masked::of(text.lines().nth(1).unwrap().as_bytes())
    };
    assert!(!line.is_in_memory());
    let contents = files(folder.path()).read(&Readings::default()).unwrap();
    assert!(line.is_in_memory());
    drop(contents);
    assert!(!line.is_in_memory());
}
