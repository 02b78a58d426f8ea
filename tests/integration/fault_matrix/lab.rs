//! A simulated Zentra, a real store, and the verdict over what happened between them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};
use zentra_sidecar::clock::SystemClock;
use zentra_sidecar::idempotency::{InitAnswer, Store as _};
use zentra_sidecar::simulator::{
    Action, Fault, LedgerView, Options, Outcome, Route, Seen, SettingsChange, Simulator, start,
};

use super::sidecar::Launch;
use super::told::Told;
use crate::support::payment::key_line;
use crate::support::redis::{Program, Server, open};

pub(crate) const KEY: &str = "sk_simulated_0000000000000000";
pub(crate) const CUSTOMER: &str = "cus_1";
/// A card that always pays, and one whose charges stay pending for 2 s of Zentra's clock.
pub(crate) const GOOD_CARD: &str = "4242424242424242";
const PENDING_CARD: &str = "4000000000000077";
/// Far longer than any step takes: only a broken test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// One account at a simulated Zentra, and a store that remembers its payments.
pub(crate) struct Lab {
    pub(crate) zentra: Arc<Simulator>,
    pub(crate) store_url: String,
    pub(crate) token: String,
    pub(crate) folder: tempfile::TempDir,
    redis: Option<Server>,
}

impl Lab {
    /// Over a Redis of its own, declared new.
    pub(crate) async fn start() -> Self {
        let redis = Server::start(Program::Redis, &[]).await;
        let lab = Self::over(&redis.url()).await;
        Self { redis: Some(redis), ..lab }
    }

    /// Over a store that is there, declared new.
    pub(crate) async fn over(store_url: &str) -> Self {
        let store = open(store_url, "default");
        assert_eq!(store.init().await, Ok(InitAnswer::Declared));
        let zentra = start(Options::default(), Arc::new(SystemClock)).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let token = token(&zentra, GOOD_CARD).await;
        let store_url = store_url.to_owned();
        let lab = Self { zentra: Arc::new(zentra), store_url, token, folder, redis: None };
        lab.write_keys("keys", &[1]);
        lab
    }

    /// A sidecar of the real binary, not yet started.
    pub(crate) fn sidecar(&self) -> Launch<'_> {
        Launch::new(self)
    }

    pub(crate) fn redis(&self) -> &Server {
        self.redis.as_ref().unwrap()
    }

    pub(crate) fn redis_mut(&mut self) -> &mut Server {
        self.redis.as_mut().unwrap()
    }

    /// A file with the fingerprint keys of these numbers.
    pub(crate) fn write_keys(&self, name: &str, numbers: &[u8]) {
        let lines: Vec<String> = numbers.iter().map(|number| key_line(*number)).collect();
        std::fs::write(self.folder.path().join(name), lines.join("\n")).unwrap();
    }

    /// From now on charges are on a card that stays pending for a while.
    pub(crate) async fn charges_stay_pending(&mut self) {
        self.token = token(&self.zentra, PENDING_CARD).await;
    }

    /// Zentra forgets keys, references, or both: what would hide a second POST's effect.
    pub(crate) fn zentra_dedupes(&self, by_key: bool, by_reference: bool) {
        self.zentra.configure(SettingsChange {
            dedupe_by_key: Some(by_key),
            dedupe_by_reference: Some(by_reference),
            ..SettingsChange::default()
        });
    }

    /// Hits the next POST of this charge.
    pub(crate) fn next_post(&self, reference: &str, action: Action) {
        self.zentra.inject(Fault::on(Route::CreateCharge, action).reference(reference));
    }

    /// Hits the next look-up of this charge.
    pub(crate) fn next_look_up(&self, reference: &str, action: Action) {
        self.zentra.inject(Fault::on(Route::GetCharge, action).reference(reference));
    }

    /// Waits until the ledger shows something.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&LedgerView) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(&self.zentra.ledger()) {
            assert!(Instant::now() < deadline, "the ledger never showed: {what}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits for longer than a lease lasts: whoever did not renew has lost it.
    pub(crate) async fn a_lease_passes() {
        sleep(Duration::from_millis(1100)).await;
    }

    /// Waits until this many POSTs of a charge have arrived.
    pub(crate) async fn until_posts(&self, reference: &str, count: usize) {
        let arrived = |ledger: &LedgerView| payments(ledger, reference).count() >= count;
        self.until("POSTs", arrived).await;
    }

    pub(crate) fn charges(&self, reference: &str) -> usize {
        self.zentra.ledger().charges_of(reference).len()
    }

    pub(crate) fn posts(&self, reference: &str) -> usize {
        payments(&self.zentra.ledger(), reference).count()
    }

    /// Look-ups of a charge.
    pub(crate) fn look_ups(&self, reference: &str) -> usize {
        self.zentra.ledger().reads.iter().filter(|seen| is_of(seen, reference)).count()
    }

    /// The verdict: the ledger and what the callers of one reference were told are one story, in
    /// which the payment was made this often.
    #[track_caller]
    pub(crate) fn agrees(&self, reference: &str, effects: usize, told: &[&Told]) {
        let ledger = self.zentra.ledger();
        let charges = ledger.charges_of(reference);
        assert_eq!(charges.len(), effects, "effects of {reference}: {charges:?}; {told:?}");
        assert!(effects <= 1, "a double charge");
        assert_eq!(ledger.forgotten, 0);
        for told in told {
            match told {
                Told::Outcome(outcome) => {
                    let charge = charges.first().unwrap();
                    assert_eq!(outcome.reference, reference);
                    assert_eq!(outcome.id, charge.id);
                    assert_eq!(outcome.amount_minor, charge.amount_minor);
                }
                Told::Error(fault) if fault.money_moved == "yes" => assert_eq!(effects, 1),
                Told::Error(_) | Told::Nothing(_) => {}
            }
        }
        self.looked_up_before_each_repeat(reference, &ledger);
    }

    /// Every POST carries one key, and between two POSTs there was a look-up, but where Zentra
    /// refused the first one unread: for its key, or for its number.
    #[track_caller]
    fn looked_up_before_each_repeat(&self, reference: &str, ledger: &LedgerView) {
        let posts: Vec<&Seen> = payments(ledger, reference).collect();
        for pair in posts.windows(2) {
            let unread = ["invalid_api_key", "expired_api_key", "rate_limit_exceeded"];
            let was_unread = matches!(&pair[0].outcome, Outcome::Refused { code } if unread.contains(&code.as_str()));
            if was_unread || pair[0].idempotency_key != pair[1].idempotency_key {
                continue;
            }
            let between = |seen: &&Seen| {
                is_of(seen, reference) && (pair[0].number..pair[1].number).contains(&seen.number)
            };
            assert!(ledger.reads.iter().any(|seen| between(&seen)), "a blind repeat: {posts:?}");
        }
    }

    /// The keys under which a charge was sent.
    pub(crate) fn upstream_keys(&self, reference: &str) -> Vec<String> {
        let ledger = self.zentra.ledger();
        let posts = payments(&ledger, reference);
        let mut keys: Vec<String> = posts.filter_map(|seen| seen.idempotency_key.clone()).collect();
        keys.sort();
        keys.dedup();
        keys
    }
}

fn is_of(seen: &Seen, reference: &str) -> bool {
    seen.reference.as_deref() == Some(reference)
}

/// The POSTs that can make a charge; a verify is none of them.
fn payments<'a>(ledger: &'a LedgerView, reference: &'a str) -> impl Iterator<Item = &'a Seen> {
    let makes = |seen: &&Seen| seen.route == Route::CreateCharge;
    ledger.posts.iter().filter(makes).filter(move |seen| is_of(seen, reference))
}

/// A saved card, made at Zentra directly.
pub(crate) async fn token(zentra: &Simulator, number: &str) -> String {
    token_of(zentra, CUSTOMER, number, &format!("key-{number}")).await
}

/// A customer's card, saved under a key of its own.
pub(crate) async fn token_of(
    zentra: &Simulator,
    customer: &str,
    number: &str,
    key: &str,
) -> String {
    let card = json!({"number": number, "expiry_month": 12, "expiry_year": 2090});
    let body = json!({
        "idempotency_key": key,
        "customer_id": customer,
        "card": card,
    });
    let answer = direct(zentra, "tokens/card", &body).await;
    answer["data"]["id"].as_str().unwrap().to_owned()
}

/// A POST at Zentra by somebody else than a sidecar.
pub(crate) async fn direct(
    zentra: &Simulator,
    path: &str,
    body: &serde_json::Value,
) -> serde_json::Value {
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let answer = client
        .post(format!("{}/api/v1/payments/{path}", zentra.url()))
        .bearer_auth(KEY)
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default()
}
