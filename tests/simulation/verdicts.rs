//! Judges what a caller hears: never a lie, one answer, forward only.

use zentra_sidecar::domain::{Charge, ChargeStatus};

use super::judge::{Judge, Told};
use super::ledger::{Kind, Ledger, Object};
use super::orders::{Heard, Order, Status};

/// What was known when a call began.
#[derive(Clone, Debug)]
pub(crate) struct Began {
    step: u64,
    /// The furthest status that had been told before.
    told: Option<Status>,
    /// Store losses before the last answer that only the store knew of.
    nameless: Option<u64>,
    /// Store losses before that status was told.
    losses: u64,
    /// Store losses before this call.
    at: u64,
}

impl Judge {
    pub(crate) fn begins(&mut self, order: &Order) -> Began {
        let before = self.told.get(&order.digest);
        let told = before.and_then(|told| told.status);
        let nameless = before.filter(|told| told.first.0.is_none()).map(|told| told.first.2);
        let losses = before.map_or(self.losses, |told| told.losses);
        Began { step: self.next_step(), told, nameless, losses, at: self.losses }
    }

    pub(crate) fn ends(
        &mut self,
        now_ms: u64,
        ledger: &Ledger,
        order: &Order,
        began: &Began,
        heard: &Heard,
    ) {
        match heard {
            Heard::Nothing => {}
            Heard::Payment { id, amount_minor, status } => {
                let id = id.as_deref();
                // Such a decline is known to the store alone: it was true when it was read, and a
                // store that has lost it since lets the key be used again.
                if id.is_none() && *status == Status::Failed && self.losses > began.at {
                    return;
                }
                self.happened(now_ms, ledger, order, (id, *amount_minor, *status));
                self.one_answer(order, began, (id, *amount_minor, *status));
            }
            Heard::Error { money_moved, reason, .. } => {
                let why = || format!("{} {reason:?}", order.reference);
                match money_moved.as_str() {
                    "no" => {
                        let grounds = self.grounds.get(&order.digest).copied();
                        let grounds = grounds.filter(|at| *at > began.step);
                        let confirmed = grounds.is_some();
                        // A call of which the store learnt only after those grounds may pay by
                        // now: the key was free again, and nobody could have told this caller.
                        let then = grounds.unwrap_or(u64::MAX);
                        if ledger.may_happen_by(now_ms, &order.digest, then) {
                            self.violated("never a lie: no money moved", why);
                        }
                        if !confirmed {
                            self.violated("no is told on the store's word only", why);
                        }
                    }
                    "yes" => {
                        let told = self.told.get(&order.digest).and_then(|told| told.status);
                        // After a store loss a key may stand for what another key made.
                        let shared = self.is_shared(order.reference.as_str());
                        let adopted = matches!(told, Some(Status::Succeeded(_)))
                            || (self.losses > 0 && shared)
                            || ledger.has_other(order.reference.as_str());
                        let paid = ledger.made_for(&order.digest).any(|it| it.is_paid(now_ms));
                        if !paid && !adopted {
                            self.violated("never a lie: money moved", why);
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// What is told has happened, so, and to this caller.
    fn happened(
        &mut self,
        now_ms: u64,
        ledger: &Ledger,
        order: &Order,
        (id, amount_minor, status): (Option<&str>, i64, Status),
    ) {
        let why = || format!("{} {id:?} {amount_minor} {status:?}", order.reference);
        let Some(id) = id else {
            if status != Status::Failed || ledger.may_happen(now_ms, &order.digest) {
                self.violated("never a lie: declined", why);
            }
            return;
        };
        let Some(object) = ledger.objects.iter().find(|it| it.id == id) else {
            return self.violated("never a lie: there is no such payment", why);
        };
        if order.kind() == Kind::Token {
            return;
        }
        let tampered = self.is_tampered(order.reference.as_str());
        let differs = order.amount_minor.is_some_and(|asked| asked != amount_minor);
        if differs || (object.amount_minor != amount_minor && !tampered) {
            self.violated("what is told is what was asked for", why);
        }
        let so = match status {
            Status::Open => true,
            Status::Succeeded(_) => object.is_paid(now_ms),
            Status::Failed => object.status(now_ms) == "failed",
        };
        if !so {
            self.violated("never a lie: its status", why);
        }
        if !object.key.starts_with(&order.digest) && !self.may_share(order, object) {
            self.violated("nobody hears of another payment", why);
        }
    }

    /// After a store loss nobody can tell two keys of one caller apart that ask for the same.
    /// Nor, once it is in doubt, one that was made without the sidecar.
    fn may_share(&self, order: &Order, object: &Object) -> bool {
        if object.is_made_elsewhere() {
            return order.kind() == Kind::Charge
                && object.customer() == order.customer()
                && object.token() == order.token();
        }
        self.losses > 0
            && self.is_shared(order.reference.as_str())
            && (order.kind() == Kind::Refund || object.customer() == order.customer())
    }

    /// What a read tells is there: money that moved stays moved, whatever came since.
    pub(crate) fn read(&mut self, now_ms: u64, ledger: &Ledger, charge: &Charge) {
        let reference = charge.reference.to_string();
        let id = charge.id.as_ref().map(ToString::to_string).unwrap_or_default();
        let object = ledger.find(Kind::Charge, &reference);
        let is_so = object.is_some_and(|object| {
            let amount = charge.amount.amount_minor();
            let paid = charge.status != ChargeStatus::Succeeded || object.is_paid(now_ms);
            let failed = charge.status == ChargeStatus::Failed;
            let failed = !failed || object.status(now_ms) == "failed";
            let same = amount == object.amount_minor || self.is_tampered(&reference);
            object.id == id && paid && failed && same
        });
        if !is_so {
            self.violated("never a lie: a read", || format!("{charge:?}"));
        }
    }

    fn one_answer(
        &mut self,
        order: &Order,
        began: &Began,
        (id, amount_minor, status): (Option<&str>, i64, Status),
    ) {
        let losses = self.losses;
        let tampered = self.is_tampered(order.reference.as_str());
        // Zentra makes a token again where it does not know its key.
        let rough = order.kind() == Kind::Token && !self.tokens_promised();
        let told = self.told.entry(order.digest.clone()).or_insert_with(|| Told {
            first: (id.map(str::to_owned), amount_minor, began.at),
            status: None,
            losses,
            failed: None,
        });
        let same_amount =
            told.first.1 == amount_minor || (order.amount_minor.is_none() && tampered);
        let same = told.first.0.as_deref() == id && same_amount;
        // A decline without an object is known to the store alone.
        let forgotten = told.first.0.is_none() && losses > told.first.2;
        let forgotten_since = began.nameless.is_some_and(|before| losses > before);
        let backwards = !forgotten_since
            && began.told.is_some_and(|before| match (before, status) {
                (Status::Open, _) => false,
                (before, now) => {
                    now < before || (before == Status::Failed) != (now == Status::Failed)
                }
            });
        // A failover may bring back a record that was still open.
        let brought_back = status == Status::Open && losses > began.losses;
        let backwards = backwards && !brought_back;
        if told.status < Some(status) {
            told.status = Some(status);
            told.losses = losses;
        }
        told.failed = Some(status == Status::Failed);
        let first = told.first.clone();
        let why = || format!("{} {first:?} then {id:?} {amount_minor} {status:?}", order.reference);
        // Where Zentra takes a reference twice, two keys of an earlier life may have used one.
        let two_under_one =
            !self.tells_references() && losses > 0 && self.is_shared(order.reference.as_str());
        if rough || two_under_one {
            return;
        }
        if forgotten {
            if id.is_some()
                && let Some(told) = self.told.get_mut(&order.digest)
            {
                told.first = (id.map(str::to_owned), amount_minor, losses);
                told.status = Some(status);
            }
        } else if !same {
            self.violated("one answer for one key", why);
        } else if backwards {
            self.violated("a status only moves forward", why);
        }
    }
}
