//! Limits and stops in the runs, and what must always hold of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use zentra_sidecar::domain::{Actor, Operation, Reason, Reference};
use zentra_sidecar::idempotency::{
    Binding, Claim, ClaimAnswer, Class, CounterId, Evidence, KeyDigest, LimitName, Quantity,
    Release, SetStop, Settle, Stamped, Stop, StopScope, Take, Verdict,
};

use super::history::{Event, Step};
use super::ledger::Kind;
use super::orders::Order;
use super::world::World;

/// Room for two payments in each window.
const MOST: u64 = 2_500;
const WINDOW_MS: u64 = 60_000;

/// What a charge takes where the calls are limited.
pub(crate) fn takes(order: &Order) -> Vec<Take> {
    let amount = order.amount_minor.and_then(|amount| u64::try_from(amount).ok());
    let (Kind::Charge, Some(amount)) = (order.kind(), amount) else { return Vec::new() };
    vec![Take {
        limit: LimitName::new("minute").unwrap(),
        counter: CounterId::new(["minute"]),
        window_ms: WINDOW_MS,
        quantity: Quantity::Amount(amount),
        most: MOST,
        binding: Binding::Enforced,
    }]
}

/// Now and then an operator stops charges, or lifts that again.
pub(crate) async fn operate(world: &Arc<World>) {
    let act = world.lock().chance.below(120);
    match act {
        0 => {
            let stop = Stop {
                id: Reference::new("drill").unwrap(),
                scope: StopScope { operation: Some(Operation::Charge), ..StopScope::default() },
                reason: Reason::new("a drill").unwrap(),
                by: Actor::new("jo").unwrap(),
                since_ms: 0,
                until_ms: None,
            };
            let for_ms = world.lock().chance.pick(&[None, Some(2_000), Some(60_000)]);
            world.fault("stop of charges", || format!("{for_ms:?}"));
            step(world, Step::Stop(Box::new(SetStop { stop, for_ms }))).await;
        }
        1..4 => resume(world).await,
        _ => {}
    }
}

/// Nothing is stopped any more.
pub(crate) async fn resume(world: &Arc<World>) {
    step(world, Step::Resume(None)).await;
}

async fn step(world: &Arc<World>, step: Step) {
    let now_ms = world.store_now_ms();
    let reply = step.apply(&world.store).await.unwrap();
    world.lock().history.add(now_ms, || Event::Step(step, reply));
}

/// What has been taken from the one limit of the runs, as the answers tell.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// The window and the amount of each payment that counts.
    counts: HashMap<KeyDigest, (u64, u64)>,
    /// The same of those that a failure gave back.
    given_back: HashMap<KeyDigest, (u64, u64)>,
}

impl Taken {
    /// The store has forgotten: what is known here may be more than what is counted there.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    fn sum(&self, window: u64) -> u64 {
        self.counts.values().filter(|(its, _)| *its == window).map(|(_, amount)| amount).sum()
    }

    /// What a claim's answer breaks, where the store's memory and clock are good.
    pub(crate) fn claimed(
        &mut self,
        claim: &Claim,
        stamped: &Stamped<ClaimAnswer>,
    ) -> Option<&'static str> {
        let [Take { quantity: Quantity::Amount(amount), window_ms: WINDOW_MS, .. }] =
            claim.takes.as_slice()
        else {
            return None;
        };
        let window = stamped.now_ms / WINDOW_MS;
        match &stamped.answer {
            ClaimAnswer::Run { epoch: 1, first_sent_ms, .. } => {
                let window = first_sent_ms / WINDOW_MS;
                self.given_back.remove(&claim.subject.digest);
                // Told again, it takes nothing.
                let Entry::Vacant(entry) = self.counts.entry(claim.subject.digest) else {
                    return None;
                };
                entry.insert((window, *amount));
                (self.sum(window) > MOST).then_some("a limit is never exceeded")
            }
            ClaimAnswer::Full { .. } => (self.sum(window) + amount <= MOST)
                .then_some("a limit is full only where there is no room"),
            _ => None,
        }
    }

    pub(crate) fn released(&mut self, release: &Release) {
        self.counts.remove(&release.digest);
        self.given_back.remove(&release.digest);
    }

    pub(crate) fn completed(&mut self, evidence: &Evidence) {
        if matches!(&evidence.verdict, Verdict::Outcome(outcome) if outcome.class == Class::Failed)
        {
            self.give_back(*evidence.digest());
        }
    }

    /// A conflict counts: it may have moved money, whatever was given back before.
    pub(crate) fn contradicted(&mut self, evidence: &Evidence) {
        if let Some(taken) = self.given_back.remove(evidence.digest()) {
            self.counts.insert(*evidence.digest(), taken);
        }
    }

    pub(crate) fn settled(&mut self, settle: &Settle) {
        if settle.outcome.class != Class::Succeeded {
            self.give_back(settle.digest);
        }
    }

    fn give_back(&mut self, digest: KeyDigest) {
        if let Some(taken) = self.counts.remove(&digest) {
            self.given_back.insert(digest, taken);
        }
    }
}
