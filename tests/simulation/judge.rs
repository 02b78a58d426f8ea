//! What must always hold, checked at every step.

use std::collections::HashMap;

use futures_util::FutureExt as _;
use tokio::task::Id;
use zentra_sidecar::idempotency::{
    ClaimAnswer, Class, CompleteAnswer, Fence, KeyDigest, Lookup, MemoryStore, ReleaseAnswer,
    SettleAnswer, Store, Verdict,
};

use super::history::{Reply, Step};
use super::ledger::{Kind, Ledger, Post};
use super::limits::Taken;
use super::mode::Mode;
use super::orders::Status;

/// What a rule says must never be, and what was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) rule: &'static str,
    pub(crate) detail: String,
}

/// A task's right to work on a payment.
#[derive(Clone, Copy, Debug)]
struct Grip {
    fence: Fence,
    at: u64,
    /// Why nothing may be sent before a look-up.
    looks_first: Option<&'static str>,
}

/// What one key's callers have been told.
#[derive(Debug)]
pub(crate) struct Told {
    /// Id, amount and the number of store losses at the first answer.
    pub(crate) first: (Option<String>, i64, u64),
    /// The furthest status.
    pub(crate) status: Option<Status>,
    /// Store losses when that was told.
    pub(crate) losses: u64,
    /// Whether the last answer was a decline.
    pub(crate) failed: Option<bool>,
}

/// Knows what happened, and what everybody may think.
pub(crate) struct Judge {
    mode: Mode,
    step: u64,
    violation: Option<Violation>,
    grips: HashMap<Id, Grip>,
    /// When each call was first known to the store.
    begun: HashMap<Id, u64>,
    looks: HashMap<(Id, Kind, String), u64>,
    doubts: HashMap<Id, u64>,
    /// When the store last confirmed that nothing of a payment can have happened.
    pub(crate) grounds: HashMap<String, u64>,
    pub(crate) told: HashMap<String, Told>,
    tampered: Vec<String>,
    /// Wipes and failovers.
    pub(crate) losses: u64,
    pub(crate) clock_shifted: bool,
    pub(crate) paused_long: bool,
    /// References that several keys use.
    pub(crate) shared: Vec<String>,
    taken: Taken,
}

impl Judge {
    pub(crate) fn new(mode: Mode) -> Self {
        Self {
            mode,
            step: 0,
            violation: None,
            grips: HashMap::new(),
            begun: HashMap::new(),
            looks: HashMap::new(),
            doubts: HashMap::new(),
            grounds: HashMap::new(),
            told: HashMap::new(),
            tampered: Vec::new(),
            losses: 0,
            clock_shifted: false,
            paused_long: false,
            shared: Vec::new(),
            taken: Taken::default(),
        }
    }

    pub(crate) fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// Only the first counts: the rest follows from it.
    pub(crate) fn violated(&mut self, rule: &'static str, detail: impl FnOnce() -> String) {
        if self.violation.is_none() {
            self.violation = Some(Violation { rule, detail: detail() });
        }
    }

    pub(crate) fn next_step(&mut self) -> u64 {
        self.step += 1;
        self.step
    }

    pub(crate) fn lost_store(&mut self) {
        self.losses += 1;
        self.taken.forget();
    }

    pub(crate) fn shifted_clock(&mut self) {
        self.clock_shifted = true;
    }

    pub(crate) fn tampered(&mut self, reference: &str) {
        self.tampered.push(reference.to_owned());
    }

    pub(crate) fn is_tampered(&self, reference: &str) -> bool {
        self.tampered.iter().any(|it| it == reference)
    }

    pub(crate) fn is_shared(&self, reference: &str) -> bool {
        self.shared.iter().any(|it| it == reference)
    }

    /// A look-up's answer reached the process.
    pub(crate) fn looked_up(&mut self, kind: Kind, reference: &str) {
        let step = self.next_step();
        if let Some(task) = tokio::task::try_id() {
            self.looks.insert((task, kind, reference.to_owned()), step);
        }
    }

    /// A POST's answer reached the process, and left no doubt.
    pub(crate) fn answered(&mut self) {
        if let Some(task) = tokio::task::try_id() {
            self.doubts.remove(&task);
        }
    }

    /// A POST leaves: may it?
    pub(crate) fn post(&mut self, store: &MemoryStore, store_now_ms: u64, post: &mut Post) {
        let step = self.next_step();
        post.number = step;
        let Some(task) = tokio::task::try_id() else { return };
        let Some(grip) = self.grips.get(&task).copied() else {
            self.violated("nothing is sent without a claim", || post.reference.clone());
            return;
        };
        post.begun = self.begun.get(&task).copied().unwrap_or_default();
        self.held(store, store_now_ms, post, grip);
        let look = (task, post.kind, post.reference.clone());
        let looked = self.looks.get(&look).copied().unwrap_or_default();
        if post.kind != Kind::Token {
            if let Some(why) = grip.looks_first.filter(|_| looked < grip.at) {
                self.violated(why, || format!("{} {}", post.reference, post.key));
            }
            if self.doubts.get(&task).is_some_and(|doubt| looked < *doubt) {
                let rule = "after a doubtful POST a look-up comes before the next";
                self.violated(rule, || format!("{} {}", post.reference, post.key));
            }
        }
        self.doubts.insert(task, step);
    }

    /// Where the store's memory and clock are good, every POST is covered by a lease of its own.
    fn held(&mut self, store: &MemoryStore, store_now_ms: u64, post: &Post, grip: Grip) {
        if self.losses > 0 || self.clock_shifted {
            return;
        }
        let Some(digest) = post.key.get(..64).and_then(KeyDigest::from_hex) else { return };
        let lookup = Lookup::Digest(digest);
        let record = store.read(&lookup).now_or_never();
        let Some(Ok(record)) = record else { return };
        let rule = "nothing is sent without a lease that lasts";
        match record.answer {
            None => self.violated(rule, || format!("{}: no record", post.reference)),
            Some(record) if record.state.is_unresolved() => {
                let held = record.fence == grip.fence && record.lease_end_ms > store_now_ms;
                if !held {
                    self.violated(rule, || {
                        let left = record.lease_end_ms.saturating_sub(store_now_ms);
                        let own = record.fence == grip.fence;
                        format!("{}: own: {own}, {left} ms left", post.reference)
                    });
                }
            }
            Some(_) => {}
        }
    }

    /// After anything may have taken effect.
    pub(crate) fn after_effect(&mut self, now_ms: u64, ledger: &Ledger) {
        let Some(last) = ledger.objects.last() else { return };
        if !last.may_count(now_ms) {
            return;
        }
        let digest = last.key.get(..64).unwrap_or(&last.key).to_owned();
        if last.kind != Kind::Token || self.tokens_promised() {
            let count = ledger.made_for(&digest).filter(|it| it.may_count(now_ms)).count();
            if count > 1 {
                self.violated("a key has one effect", || last.reference.clone());
            }
        }
        let promised =
            self.mode.by_reference() || !self.is_shared(&last.reference) || self.losses == 0;
        if last.kind != Kind::Token && promised {
            let same = |it: &&super::ledger::Object| {
                let ours = !it.is_made_elsewhere() && it.kind == last.kind;
                ours && it.reference == last.reference && it.may_count(now_ms)
            };
            if ledger.objects.iter().filter(same).count() > 1 {
                self.violated("a reference has one effect", || last.reference.clone());
            }
        }
        let told = self.told.get(&digest).and_then(|it| it.failed);
        if told == Some(true) && self.losses == 0 && last.kind != Kind::Token {
            self.violated("nothing happens after a final decline", || last.reference.clone());
        }
    }

    pub(crate) fn tells_references(&self) -> bool {
        self.mode.by_reference()
    }

    /// Only by its key can Zentra know a token again.
    pub(crate) fn tokens_promised(&self) -> bool {
        self.mode.by_key() && !self.paused_long
    }

    /// A step reached the store.
    pub(crate) fn applied(&mut self, now_ms: u64, ledger: &Ledger, step: &Step, reply: &Reply) {
        let at = self.next_step();
        match (step, reply) {
            (Step::Claim(claim), Reply::Claim(stamped)) => {
                let digest = claim.subject.digest;
                if let Some(task) = tokio::task::try_id() {
                    self.begun.entry(task).or_insert(at);
                }
                let grip = |epoch, looks_first| Grip {
                    fence: Fence { owner: claim.owner, epoch },
                    at,
                    looks_first,
                };
                let lost = (self.losses > 0)
                    .then_some("after a store loss a look-up comes before a first send");
                let broken = self.taken.claimed(claim, stamped);
                if let Some(rule) = broken.filter(|_| self.losses == 0 && !self.clock_shifted) {
                    self.violated(rule, || format!("{digest}: {:?}", stamped.answer));
                }
                match &stamped.answer {
                    ClaimAnswer::Run { epoch, .. } => self.grip(grip(*epoch, lost)),
                    ClaimAnswer::Recover { epoch, .. } => {
                        let why = "after a takeover a look-up comes before anything is sent";
                        self.grip(grip(*epoch, Some(lost.unwrap_or(why))));
                    }
                    ClaimAnswer::Refused { look_ups_first: false } => {
                        self.clean(now_ms, ledger, digest, at, "a refusal says no");
                    }
                    ClaimAnswer::Full { look_ups_first: false, .. }
                    | ClaimAnswer::Stopped { look_ups_first: false, .. } => {
                        self.clean(now_ms, ledger, digest, at, "a limit or a stop says no");
                    }
                    ClaimAnswer::ReferenceTaken { look_ups_first: false, .. } => {
                        self.clean(now_ms, ledger, digest, at, "a taken reference says no");
                    }
                    _ => {}
                }
            }
            (Step::Release(release), Reply::Release(stamped))
                if stamped.answer == ReleaseAnswer::Released =>
            {
                self.taken.released(release);
                let rule = "nothing is released that may have happened";
                self.clean(now_ms, ledger, release.digest, at, rule);
            }
            (Step::Complete(evidence), Reply::Complete(stamped)) => {
                let failed = matches!(&evidence.verdict,
                    Verdict::Outcome(outcome) if outcome.class == Class::Failed);
                let stored = matches!(stamped.answer, CompleteAnswer::Stored { .. });
                match stamped.answer {
                    CompleteAnswer::Stored { .. } => self.taken.completed(evidence),
                    CompleteAnswer::Conflict { .. } => self.taken.contradicted(evidence),
                    _ => {}
                }
                let digest = evidence.digest().to_string();
                // Where Zentra takes a reference twice, a look-up may find another key's.
                let promised =
                    self.tells_references() || self.losses == 0 || self.shared.is_empty();
                if failed && stored && promised && ledger.may_happen(now_ms, &digest) {
                    let rule = "a decline is final only where nothing happened";
                    self.violated(rule, || digest);
                }
            }
            (Step::Settle(settle), Reply::Settle(stamped))
                if stamped.answer == SettleAnswer::Settled =>
            {
                self.taken.settled(settle);
            }
            _ => {}
        }
    }

    fn grip(&mut self, grip: Grip) {
        if let Some(task) = tokio::task::try_id() {
            self.grips.insert(task, grip);
        }
    }

    /// The store says that nothing happened: is that so?
    fn clean(
        &mut self,
        now_ms: u64,
        ledger: &Ledger,
        digest: KeyDigest,
        at: u64,
        rule: &'static str,
    ) {
        let digest = digest.to_string();
        if ledger.may_happen(now_ms, &digest) {
            self.violated(rule, || digest.clone());
        }
        self.grounds.insert(digest, at);
    }
}
