//! The ledger as it is read back.

use jiff::Timestamp;
use serde::Serialize;

use super::records::iso;
use super::{Charge, Event, FaultView, Refund, Seen, Settings, Token, Zentra};

/// A copy of everything that happened, oldest first.
#[derive(Clone, Debug, Serialize)]
pub struct LedgerView {
    /// The simulator's time.
    #[serde(serialize_with = "iso")]
    pub now: Timestamp,
    /// Every charge made: one row is one effect.
    pub charges: Vec<Charge>,
    /// Every refund made: one row is one effect.
    pub refunds: Vec<Refund>,
    /// Every token made: one row is one effect.
    pub tokens: Vec<Token>,
    /// Every POST that arrived, those that failed or were dropped too.
    pub posts: Vec<Seen>,
    /// Every GET that arrived; `number` gives the order over posts and reads.
    pub reads: Vec<Seen>,
    /// Every change of status.
    pub events: Vec<Event>,
    /// The faults, those used up too.
    pub faults: Vec<FaultView>,
    /// Late effects that have not landed.
    pub late_effects: usize,
    /// Rows forgotten to make room, over all tables; 0 in any normal test.
    pub forgotten: u64,
    /// The settings, without secrets.
    pub settings: Settings,
}

impl LedgerView {
    pub(crate) fn of(zentra: &Zentra, now: Timestamp) -> Self {
        let ledger = &zentra.ledger;
        let seen = |reads: bool| {
            ledger.seen.iter().filter(|seen| seen.route.is_read() == reads).cloned().collect()
        };
        let events = zentra.outbox.events();
        Self {
            now,
            charges: ledger.charges.iter().cloned().collect(),
            refunds: ledger.refunds.iter().cloned().collect(),
            tokens: ledger.tokens.iter().cloned().collect(),
            posts: seen(false),
            reads: seen(true),
            events: events.iter().cloned().collect(),
            faults: zentra.faults.view(),
            late_effects: zentra.timers.late(),
            forgotten: ledger.charges.forgotten()
                + ledger.refunds.forgotten()
                + ledger.tokens.forgotten()
                + ledger.seen.forgotten()
                + events.forgotten(),
            settings: zentra.settings.clone(),
        }
    }

    /// The charges with this reference; more than one is a double charge.
    #[must_use]
    pub fn charges_of(&self, reference: &str) -> Vec<&Charge> {
        self.charges.iter().filter(|charge| charge.reference == reference).collect()
    }

    /// The refunds of this charge.
    #[must_use]
    pub fn refunds_of(&self, charge_reference: &str) -> Vec<&Refund> {
        self.refunds.iter().filter(|refund| refund.charge_reference == charge_reference).collect()
    }

    /// The POSTs with this reference.
    #[must_use]
    pub fn posts_of(&self, reference: &str) -> Vec<&Seen> {
        self.posts.iter().filter(|seen| seen.reference.as_deref() == Some(reference)).collect()
    }

    /// The same view with only what belongs to one charge's reference.
    #[must_use]
    pub fn only(mut self, reference: &str) -> Self {
        let in_event = |event: &Event| {
            ["reference", "charge_reference"].iter().any(|name| event.data[name] == reference)
        };
        self.charges.retain(|charge| charge.reference == reference);
        self.refunds.retain(|r| r.charge_reference == reference || r.reference == reference);
        // Requests for the charge's refunds belong to it too.
        let mut names: Vec<&str> = self.refunds.iter().map(|r| r.reference.as_str()).collect();
        names.push(reference);
        let of = |seen: &Seen| seen.reference.as_deref().is_some_and(|name| names.contains(&name));
        self.posts.retain(of);
        self.reads.retain(of);
        self.events.retain(in_event);
        let kept: Vec<_> = self.charges.iter().map(|c| c.payment_token_id.as_deref()).collect();
        self.tokens.retain(|token| kept.contains(&Some(token.id.as_str())));
        self
    }
}
