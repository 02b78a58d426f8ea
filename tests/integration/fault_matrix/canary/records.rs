//! Records that stand before the calls, and what looks at records without a call: the look-ups in the
//! background, and operators' commands.

use std::time::Duration;

use zentra_sidecar::grpc::proto;
use zentra_sidecar::simulator::{LedgerView, Route};

use super::cards::{KEPT, card, number};
use super::paths::{At, always_at, charge, echo, echoed_object, save_within, told};
use super::reasons::save_kept;
use super::routes::noted;
use super::sinks::{DENIED, Watched};
use crate::support::process::{Ended, command, run};

/// The key of a card that a newer release has saved.
pub(super) const TOO_NEW: &str = "too-new";
/// That of one of which nobody knows whether Zentra has saved it, nor can Zentra tell any more.
pub(super) const UNRESOLVED: &str = "unresolved";
/// That of one of which an operator has said that Zentra has not.
pub(super) const SETTLED: &str = "settled";
/// The reference of a charge that Zentra answered with another one.
pub(super) const CONTRARY: &str = "contrary";

const WORD: [&str; 2] = ["--by=ada", "--reason=Zentra ticket 4711"];

/// What the names of the account's keys begin with.
pub(super) const ACCOUNT: &str = "{zs:default:simulated}:";

impl Watched {
    /// Makes them.
    pub(super) async fn keep_records(&self) {
        let newer = self.launch().variable("SIDECAR_RECORD_FORMAT", "3").start().await;
        let saved = save_kept(newer.client.clone(), TOO_NEW).await;
        assert!(saved.contains("path: Direct"), "{saved}");
        self.end(newer, "TERM").await;

        always_at(&self.lab, Route::TokenizeCard, echo(200, "x"));
        for key in [UNRESOLVED, SETTLED] {
            let request = proto::TokenizeRequest { idempotency_key: key.to_owned(), ..card(KEPT) };
            let client = self.sidecars[&At::Accepting].client.clone();
            let unknown = save_within(Duration::from_millis(1400), client, request).await;
            assert!(unknown.contains("OUTCOME_UNKNOWN"), "{unknown}");
        }
        self.lab.zentra.clear_faults();
        // Zentra has long forgotten their keys.
        for record in self.records().await {
            if self.lab.redis().ask::<String>(&["HGET", &record, "state"]).await == "UNKNOWN" {
                self.lab.redis().ask::<()>(&["HSET", &record, "first_sent", "1000"]).await;
            }
        }
        let key = format!("--key={SETTLED}");
        let settle = ["records", "settle", "--kind=tokenize", &key, "--outcome=not-happened"];
        self.operate(0, &[&settle, &WORD[..]].concat()).await;

        always_at(&self.lab, Route::CreateCharge, echoed_object());
        let reference = CONTRARY.to_owned();
        let request = noted(KEPT, proto::ChargeRequest { reference, ..charge(KEPT) });
        let answer = self.sidecars[&At::Accepting].client.clone().charge(request).await;
        let refused = told(answer);
        assert!(refused.contains("OUTCOME_CONFLICT"), "{refused}");
        self.lab.zentra.clear_faults();
    }

    async fn records(&self) -> Vec<String> {
        self.lab.redis().ask(&["KEYS", "*:r:*"]).await
    }

    /// The name of the record in which answers contradict each other.
    pub(super) async fn contrary(&self) -> String {
        for record in self.records().await {
            let reference: Option<String> =
                self.lab.redis().ask(&["HGET", &record, "reference"]).await;
            if reference.as_deref() == Some(CONTRARY) {
                return record;
            }
        }
        panic!("no record of {CONTRARY}")
    }

    /// Looks up in the background what is open, at a Zentra that answers with echoes.
    pub(super) async fn look_up_in_the_background(&self) {
        let redis = self.lab.redis();
        let (due, leader) = (format!("{ACCOUNT}due"), format!("{ACCOUNT}reconciler"));
        for digest in redis.ask::<Vec<String>>(&["ZRANGE", &due, "0", "-1"]).await {
            redis.ask::<()>(&["ZADD", &due, "1", &digest]).await;
        }
        redis.ask::<()>(&["DEL", &leader]).await;
        always_at(&self.lab, Route::GetCharge, echo(422, "invalid_format"));
        let reconciler = self.launch().flag("--reconcile-seconds", "1").reconcile().await;
        let has_met = |ledger: &LedgerView| ledger.faults.iter().any(|fault| fault.fired > 0);
        self.lab.until("a look-up that met an echo", has_met).await;
        reconciler.said("open payments of the account").await;
        self.keep_pages(&reconciler.admin).await;
        assert!(reconciler.end().await.success());
        self.lab.zentra.clear_faults();
    }

    /// Runs what an operator may, also with a card's number where none belongs.
    pub(super) async fn operate_on_records(&self) {
        let number = number(KEPT);
        always_at(&self.lab, Route::GetCharge, echo(422, "invalid_format"));
        let contrary = format!("--reference={CONTRARY}");
        let (unresolved, settled) = (format!("--key={UNRESOLVED}"), format!("--key={SETTLED}"));
        let [by_number, for_number] = ["by", "reason"].map(|name| format!("--{name}={number}"));
        let (of_number, key) = (format!("--only-caller={number}"), format!("--key={number}"));
        let settle = ["records", "settle", &contrary, "--outcome=happened"];
        for (code, words) in [
            (0, &["config"][..]),
            (0, &["records", "show", &contrary]),
            (0, &["records", "show", "--kind=tokenize", &unresolved]),
            (0, &["records", "show", "--kind=tokenize", &settled]),
            (1, &["records", "show", &key]),
            (0, &["records", "pending"]),
            (0, &["records", "pending", "--conflicts"]),
            (1, &[&settle, &WORD[..]].concat()),
            (1, &[&settle[..], &[&by_number, WORD[1]]].concat()),
            (1, &[&settle[..], &[WORD[0], &for_number]].concat()),
            (1, &["stop", &by_number, WORD[1]]),
            (1, &["stop", WORD[0], &for_number]),
            (1, &["stop", WORD[0], WORD[1], &of_number]),
            (0, &["stop", "--list"]),
            (1, &["resume", &number, WORD[0], WORD[1]]),
            (1, &["store", "init", WORD[0], WORD[1]]),
        ] {
            self.operate(code, words).await;
        }
        self.lab.zentra.clear_faults();
        self.explain(0, &["--caller=limited", "--customer=cus_1"]).await;
        self.explain(1, &["--caller=limited", &format!("--customer={DENIED}")]).await;
        self.explain(2, &[&format!("--caller={number}")]).await;
        for name in ["customer", "actor", "token", "reason"] {
            self.explain(2, &["--caller=limited", &format!("--{name}={number}")]).await;
        }
    }

    /// Runs an operator's command, which ends so.
    pub(super) async fn operate(&self, code: i32, words: &[&str]) {
        let launch = self.launch().flag("--audit-log", &self.lines[2].display().to_string());
        let ended = launch.operate(words).await;
        assert_eq!(ended.code, Some(code), "{words:?}: {ended:?}");
        self.note(&ended);
    }

    async fn explain(&self, code: i32, words: &[&str]) {
        let policy = self.lab.folder.path().join("policy").display().to_string();
        let explain = ["policy", "explain", &policy, "--action=Tokenize"];
        let ended = run(command(&[&explain, words].concat())).await;
        assert_eq!(ended.code, Some(code), "{words:?}: {ended:?}");
        self.note(&ended);
    }

    fn note(&self, ended: &Ended) {
        *self.operated.lock().unwrap() += &format!("{}{}", ended.stdout, ended.stderr);
    }
}
