//! A store that cannot be used: nothing is sent, or what was sent is found again.

use tonic::Code;
use zentra_sidecar::simulator::LedgerView;

use super::lab::{Lab, PATIENCE};
use super::sidecar::{Launch, Sidecar};
use super::told::{Told, order};
use crate::store_faults::loading_server;
use crate::support::redis::{Program, Server, free_port};

/// Nothing was sent, and the caller is told to try again.
#[track_caller]
fn failed_closed(told: &Told, ledger: &LedgerView) {
    told.is_fault(Code::Unavailable, "IDEMPOTENCY_STORE_UNAVAILABLE", "unknown");
    assert_eq!(told.fault().sent, "false");
    assert!(ledger.posts_of("order-1").is_empty(), "sent without a claim");
}

/// A sidecar that soon gives a step up.
fn hasty(lab: &Lab) -> Launch<'_> {
    lab.sidecar().flag("--store-timeout-ms", "500")
}

/// Row 12.
#[tokio::test]
async fn without_a_store_nothing_is_sent() {
    let mut lab = Lab::start().await;
    let sidecar = hasty(&lab).start().await;
    lab.redis_mut().kill().await;
    let told = sidecar.charge(&order("order-1")).await;
    failed_closed(&told, &lab.zentra.ledger());
    lab.agrees("order-1", 0, &[&told]);
}

/// Row 12: it hangs, so that the claim may have been applied. It counts for nothing.
#[tokio::test]
async fn with_a_store_that_hangs_nothing_is_sent_and_the_retry_runs() {
    let lab = Lab::start().await;
    let sidecar = hasty(&lab).start().await;
    lab.redis().signal("STOP").await;
    let told = sidecar.charge(&order("order-1")).await;
    failed_closed(&told, &lab.zentra.ledger());
    lab.redis().signal("CONT").await;
    let told = sidecar.charge(&order("order-1")).await;
    told.is_paid("DIRECT");
    lab.agrees("order-1", 1, &[&told]);
    assert_eq!(lab.posts("order-1"), 1);
}

/// Row 12: it is slow for once, so that the claim is lost. No other call is at the payment, and
/// nobody is told of one.
#[tokio::test]
async fn a_store_that_is_too_slow_is_told_as_such() {
    let lab = Lab::start().await;
    let sidecar = hasty(&lab).start().await;
    sidecar.charge(&order("warm-up")).await.is_paid("DIRECT");
    // Longer than one step may take, and shorter than two.
    lab.redis().ask::<()>(&["CLIENT", "PAUSE", "700", "ALL"]).await;
    let told = sidecar.charge(&order("order-1")).await;
    failed_closed(&told, &lab.zentra.ledger());
    let again = sidecar.charge(&order("order-1")).await;
    again.is_paid("DIRECT");
    lab.agrees("order-1", 1, &[&told, &again]);
    assert_eq!(lab.posts("order-1"), 1);
}

const PASSWORD: &str = "nobody-knows";

/// From now on no sidecar gets through; the data stays.
pub(super) async fn lock(lab: &mut Lab) {
    lab.redis().ask::<()>(&["CONFIG", "SET", "requirepass", PASSWORD]).await;
    lab.redis_mut().password = PASSWORD.to_owned();
    let _killed: u32 = lab.redis().ask(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    let _killed: u32 = lab.redis().ask(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
}

async fn unlock(lab: &mut Lab) {
    lab.redis().ask::<()>(&["CONFIG", "SET", "requirepass", ""]).await;
    lab.redis_mut().password = String::new();
}

/// Row 13.
#[tokio::test]
async fn an_outcome_that_cannot_be_stored_is_told_and_found_by_the_next_caller() {
    let mut lab = Lab::start().await;
    lab.zentra_dedupes(false, false);
    let first = hasty(&lab).failpoint("after_answer:wait").start().await;
    let second = lab.sidecar().start().await;
    let order = order("order-1");
    let told = {
        let cut = async {
            first.reached("after_answer").await;
            lock(&mut lab).await;
            first.release().await;
        };
        tokio::join!(first.charge(&order), cut).0
    };
    told.is_paid("DIRECT");
    first.said("the outcome of a payment was not stored").await;
    unlock(&mut lab).await;
    let next = second.charge(&order).await;
    next.is_paid("RECOVERED");
    lab.agrees("order-1", 1, &[&told, &next]);
    assert_eq!(lab.posts("order-1"), 1);
}

/// Row 16.
#[tokio::test]
async fn a_store_out_of_memory_fails_closed() {
    let lab = Lab::start().await;
    let sidecar = lab.sidecar().start().await;
    lab.redis().ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let told = sidecar.charge(&order("order-1")).await;
    failed_closed(&told, &lab.zentra.ledger());
    lab.redis().ask::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
    let told = sidecar.charge(&order("order-1")).await;
    told.is_paid("DIRECT");
    lab.agrees("order-1", 1, &[&told]);
}

async fn readyz(sidecar: &Sidecar) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let answer = client.get(format!("{}/readyz", sidecar.admin)).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Row 16.
#[tokio::test]
async fn over_an_evicting_store_a_sidecar_is_not_ready_and_takes_no_payment() {
    let lab = Lab::start().await;
    let policy = ["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"];
    lab.redis().ask::<()>(&policy).await;
    let sidecar = lab.sidecar().start().await;
    let (status, text) = readyz(&sidecar).await;
    assert_eq!(status, 503);
    assert!(text.contains("noeviction"), "{text}");
    let told = sidecar.charge(&order("order-1")).await;
    failed_closed(&told, &lab.zentra.ledger());
    lab.redis().ask::<()>(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    sidecar.said("the store is fit for use").await;
    assert_eq!(readyz(&sidecar).await.0, 200);
    sidecar.charge(&order("order-1")).await.is_paid("DIRECT");
}

/// Row 17: NOSCRIPT, in the middle of a payment too.
#[tokio::test]
async fn scripts_that_the_store_forgot_are_sent_again() {
    let lab = Lab::start().await;
    let sidecar = lab.sidecar().failpoint("after_answer:wait").start().await;
    lab.redis().ask::<()>(&["SCRIPT", "FLUSH"]).await;
    let flush = async {
        sidecar.reached("after_answer").await;
        lab.redis().ask::<()>(&["SCRIPT", "FLUSH"]).await;
        sidecar.release().await;
    };
    let order = order("order-1");
    let (told, ()) = tokio::join!(sidecar.charge(&order), flush);
    told.is_paid("DIRECT");
    lab.redis().ask::<()>(&["SCRIPT", "FLUSH"]).await;
    let again = sidecar.charge(&order).await;
    again.is_paid("REPLAYED");
    lab.agrees("order-1", 1, &[&told, &again]);
}

/// Row 17: READONLY.
#[tokio::test]
async fn a_master_that_became_a_replica_fails_closed() {
    let lab = Lab::start().await;
    let sidecar = hasty(&lab).start().await;
    let port = free_port().to_string();
    lab.redis().ask::<()>(&["REPLICAOF", "127.0.0.1", &port]).await;
    let told = sidecar.charge(&order("order-1")).await;
    failed_closed(&told, &lab.zentra.ledger());
    lab.redis().ask::<()>(&["REPLICAOF", "NO", "ONE"]).await;
    let told = sidecar.charge(&order("order-1")).await;
    told.is_paid("DIRECT");
    lab.agrees("order-1", 1, &[&told]);
}

/// Row 17: LOADING.
#[tokio::test]
async fn a_store_that_is_still_loading_fails_closed() {
    let redis = Server::start(Program::Redis, &[]).await;
    let mut lab = Lab::over(&redis.url()).await;
    lab.store_url = format!("redis://127.0.0.1:{}", loading_server().await);
    let sidecar = hasty(&lab).start().await;
    assert_eq!(readyz(&sidecar).await.0, 503);
    let told = sidecar.charge(&order("order-1")).await;
    failed_closed(&told, &lab.zentra.ledger());
}
