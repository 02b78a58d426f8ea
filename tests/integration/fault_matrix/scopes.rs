//! Whose payment it is: environments, callers, fingerprint keys.

use std::sync::Arc;

use tonic::Code;
use zentra_sidecar::clock::SystemClock;
use zentra_sidecar::simulator::{Options, SettingsChange, start};

use super::lab::{GOOD_CARD, KEY, Lab, token};
use super::told::order;

/// Row 35.
#[tokio::test]
async fn sandbox_and_live_on_one_redis_are_two_payments() {
    let lab = Lab::start().await;
    let live = start(Options::default(), Arc::new(SystemClock)).await.unwrap();
    let keys = ["sk_sandbox_0001", "sk_live_0001"];
    for (zentra, key) in [&*lab.zentra, &live].into_iter().zip(keys) {
        let secret_keys = Some(vec![KEY.to_owned(), key.to_owned()]);
        zentra.configure(SettingsChange { secret_keys, ..SettingsChange::default() });
    }
    let mut upstream_keys = Vec::new();
    for (zentra, key) in [&*lab.zentra, &live].into_iter().zip(keys) {
        let launch = lab.sidecar().flag("--zentra-url", &zentra.url());
        let mut sidecar = launch.variable("ZENTRA_SECRET_KEY", key).start().await;
        sidecar.token = token(zentra, GOOD_CARD).await;
        sidecar.charge(&order("order-1")).await.is_paid("DIRECT");
        let ledger = zentra.ledger();
        assert_eq!(ledger.charges_of("order-1").len(), 1);
        upstream_keys.push(ledger.posts_of("order-1")[0].idempotency_key.clone().unwrap());
    }
    assert_ne!(upstream_keys[0], upstream_keys[1]);
    let records: Vec<String> = lab.redis().ask(&["KEYS", "*}:r:*"]).await;
    assert_eq!(records.len(), 2, "{records:?}");
}

/// Row 36: the release that signs with the new key comes after the one that knows it.
#[tokio::test]
async fn after_a_rotation_of_the_fingerprint_key_replays_still_match() {
    let lab = Lab::start().await;
    lab.write_keys("both", &[1, 2]);
    lab.write_keys("turned", &[2, 1]);
    let file = |name: &str| lab.folder.path().join(name).display().to_string();
    let old = lab.sidecar().flag("--fingerprint-key-file", &file("both")).start().await;
    let told = old.charge(&order("order-1")).await;
    told.is_paid("DIRECT");
    let new = lab.sidecar().flag("--fingerprint-key-file", &file("turned")).start().await;
    let again = new.charge(&order("order-1")).await;
    again.is_paid("REPLAYED");
    lab.agrees("order-1", 1, &[&told, &again]);
    let other = new.charge(&order("order-1").amount(2000)).await;
    other.is_fault(Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED", "yes");
    // And back: a record of the new key, at a process that still signs with the old one.
    let told = new.charge(&order("order-2")).await;
    told.is_paid("DIRECT");
    old.charge(&order("order-2")).await.is_paid("REPLAYED");
}

/// Row 36: a process without the store's key takes no payment at all.
#[tokio::test]
async fn a_process_with_a_foreign_fingerprint_key_fails_closed() {
    let lab = Lab::start().await;
    let first = lab.sidecar().start().await;
    let told = first.charge(&order("order-1")).await;
    told.is_paid("DIRECT");
    lab.write_keys("foreign", &[9]);
    let file = lab.folder.path().join("foreign").display().to_string();
    let other = lab.sidecar().flag("--fingerprint-key-file", &file).start().await;
    let refused = other.charge(&order("order-1")).await;
    refused.is_fault(Code::Unavailable, "IDEMPOTENCY_STORE_UNAVAILABLE", "unknown");
    lab.agrees("order-1", 1, &[&told, &refused]);
    assert_eq!(lab.posts("order-1"), 1);
}

/// Row 38.
#[tokio::test]
async fn after_a_store_loss_the_keys_other_payload_is_a_conflict() {
    let lab = Lab::start().await;
    let sidecar = lab.sidecar().start().await;
    let paid = sidecar.charge(&order("order-1")).await;
    paid.is_paid("DIRECT");
    lab.redis().ask::<()>(&["FLUSHALL"]).await;
    let told = sidecar.charge(&order("order-1").amount(2000)).await;
    told.is_fault(Code::FailedPrecondition, "OUTCOME_CONFLICT", "unknown");
    lab.agrees("order-1", 1, &[&paid, &told]);
    assert_eq!(lab.posts("order-1"), 1);
}

/// Row 38: nobody hears somebody else's payment.
#[tokio::test]
async fn after_a_store_loss_another_callers_same_reference_is_not_told_of_the_payment() {
    let lab = Lab::start().await;
    let owner = lab.sidecar().start().await;
    let paid = owner.charge(&order("order-1")).await;
    paid.is_paid("DIRECT");
    lab.redis().ask::<()>(&["FLUSHALL"]).await;
    let mut stranger = lab.sidecar().flag("--caller", "shop/other").start().await;
    stranger.token = "tok_strangers".to_owned();
    let told = stranger.charge(&order("order-1")).await;
    told.is_fault(Code::FailedPrecondition, "OUTCOME_CONFLICT", "unknown");
    lab.agrees("order-1", 1, &[&paid, &told]);
    assert_eq!(lab.posts("order-1"), 1);
}

/// Row 38: the payment's own caller came first after the loss.
#[tokio::test]
async fn after_a_store_loss_a_reference_that_was_found_again_is_taken() {
    let lab = Lab::start().await;
    let owner = lab.sidecar().start().await;
    owner.charge(&order("order-1")).await.is_paid("DIRECT");
    lab.redis().ask::<()>(&["FLUSHALL"]).await;
    owner.charge(&order("order-1")).await.is_paid("RECOVERED");
    let stranger = lab.sidecar().flag("--caller", "shop/other").start().await;
    let told = stranger.charge(&order("order-1")).await;
    // Its own key's payment may have been lost with the store too.
    told.is_fault(Code::AlreadyExists, "REFERENCE_ALREADY_USED", "unknown");
    assert_eq!(lab.posts("order-1"), 1);
}
