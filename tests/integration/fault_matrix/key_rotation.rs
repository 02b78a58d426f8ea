//! Zentra's key is rotated under load, and no call fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;
use zentra_sidecar::simulator::SettingsChange;

use super::lab::{KEY, Lab};
use super::metrics::shown;
use super::sidecar::Sidecar;
use super::told::order;

const NEXT: &str = "sk_simulated_1111111111111111";

impl Lab {
    /// Zentra accepts these keys and no other.
    fn accepts(&self, keys: &[&str]) {
        let secret_keys = Some(keys.iter().map(|key| (*key).to_owned()).collect());
        self.zentra.configure(SettingsChange { secret_keys, ..SettingsChange::default() });
    }
}

/// Charges one after the other until it is told to stop; every one is paid.
async fn steady(lab: &Lab, sidecar: &Sidecar, name: &str, stop: &AtomicBool) -> usize {
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let reference = format!("{name}-{count}");
        let told = sidecar.charge(&order(&reference)).await;
        told.is_paid("DIRECT");
        lab.agrees(&reference, 1, &[&told]);
        count += 1;
    }
    count
}

/// Eight callers at once, while `rotate` happens; each goes on for a while after it.
async fn under_load(lab: &Lab, sidecar: &Sidecar, rotate: impl Future<Output = ()>) {
    let stop = AtomicBool::new(false);
    let callers = (0..8).map(|number| {
        let stop = &stop;
        async move { steady(lab, sidecar, &format!("caller-{number}"), stop).await }
    });
    let rotation = async {
        lab.until("calls before", |ledger| ledger.charges.len() >= 40).await;
        rotate.await;
        let before = lab.zentra.ledger().charges.len();
        lab.until("calls after", |ledger| ledger.charges.len() >= before + 40).await;
        stop.store(true, Ordering::Relaxed);
    };
    let (counts, ()) = tokio::join!(futures_util::future::join_all(callers), rotation);
    assert!(counts.iter().sum::<usize>() >= 80);
}

/// The usual order: the new key is valid before the old one is not.
#[tokio::test]
async fn a_new_key_in_the_file_is_taken_without_a_failed_call() {
    let lab = Lab::start().await;
    let file = lab.folder.path().join("zentra-key");
    std::fs::write(&file, KEY).unwrap();
    let sidecar = lab.sidecar().key_file(&file).start().await;
    let old = key_ids(&sidecar).await;
    let rotate = async {
        lab.accepts(&[KEY, NEXT]);
        std::fs::write(&file, NEXT).unwrap();
        // Without a refusal: the file itself is watched.
        sidecar.said("a new key of Zentra's is in use").await;
        lab.accepts(&[NEXT]);
    };
    under_load(&lab, &sidecar, rotate).await;
    let new = key_ids(&sidecar).await;
    assert_eq!((old.len(), new.len()), (1, 1), "{old:?} {new:?}");
    assert_ne!(old, new);
}

/// The keys that `/metrics` shows as in use.
async fn key_ids(sidecar: &Sidecar) -> Vec<String> {
    let text = shown(sidecar).await;
    let lines = text.lines().filter(|line| line.starts_with("zentra_sidecar_zentra_key_info{"));
    lines.filter(|line| line.ends_with(" 1")).map(str::to_owned).collect()
}

/// The old key ends at the very moment at which the file changes: the first 401 reads it again.
#[tokio::test]
async fn a_refused_key_is_read_again_and_the_call_goes_on() {
    let lab = Lab::start().await;
    let file = lab.folder.path().join("zentra-key");
    std::fs::write(&file, KEY).unwrap();
    let sidecar = lab.sidecar().key_file(&file).start().await;
    let rotate = async {
        std::fs::write(&file, NEXT).unwrap();
        lab.accepts(&[NEXT]);
    };
    under_load(&lab, &sidecar, rotate).await;
}

/// The file is replaced by one whose reading never ends, as on a mount that is gone.
#[tokio::test]
async fn a_key_file_that_hangs_keeps_no_call_and_no_end() {
    let lab = Lab::start().await;
    let file = lab.folder.path().join("zentra-key");
    std::fs::write(&file, KEY).unwrap();
    let mut sidecar = lab.sidecar().key_file(&file).start().await;
    sidecar.charge(&order("warm-up")).await.is_paid("DIRECT");
    let hanging = lab.folder.path().join("hanging");
    let made = tokio::process::Command::new("mkfifo").arg(&hanging).status().await;
    assert!(made.unwrap().success(), "mkfifo");
    std::fs::rename(&hanging, &file).unwrap();
    lab.accepts(&[NEXT]);
    // Before the deadline, and told as it is: Zentra refused the key, and nothing was done.
    let began = Instant::now();
    let told = sidecar.charge(&order("order-1").within_ms(400)).await;
    assert!(began.elapsed() < Duration::from_millis(400), "{:?}", began.elapsed());
    told.is_fault(Code::Internal, "UPSTREAM_AUTH", "no");
    sidecar.said("cannot be read: not in 500 ms").await;
    // A file in its place is found, though a reading still hangs.
    let next = lab.folder.path().join("next");
    std::fs::write(&next, NEXT).unwrap();
    std::fs::rename(&next, &file).unwrap();
    sidecar.said("a new key of Zentra's is in use").await;
    sidecar.charge(&order("order-1")).await.is_paid("DIRECT");
    lab.agrees("order-1", 1, &[&told]);
    sidecar.signal("TERM").await;
    assert!(sidecar.ended().await.success());
}

/// A file that holds rubbish, or half of a key, leaves the good key in use.
#[tokio::test]
async fn a_wrong_file_changes_nothing() {
    let lab = Lab::start().await;
    let file = lab.folder.path().join("zentra-key");
    std::fs::write(&file, KEY).unwrap();
    let sidecar = lab.sidecar().key_file(&file).start().await;
    std::fs::write(&file, "pk_simulated_1").unwrap();
    let line = sidecar.said("the last good key stays").await;
    assert!(line.contains("public key") && !line.contains("pk_simulated_1"), "{line}");
    sidecar.charge(&order("order-1")).await.is_paid("DIRECT");
    // A key that Zentra does not take, and no other: that is for an operator.
    lab.accepts(&[NEXT]);
    let told = sidecar.charge(&order("order-2")).await;
    told.is_fault(Code::Internal, "UPSTREAM_AUTH", "no");
}
