//! The simulated Zentra itself.

use jiff::Timestamp;

use super::effects::Timers;
use super::ids::Ids;
use super::keys::Keys;
use super::ledger::Ledger;
use super::outbox::{Outbox, Outgoing, ResendOrder};
use super::rate_limit::RateLimit;
use super::{
    Answer, Charge, Event, FaultPlan, LedgerView, Request, Response, Settings, SettingsChange,
};

/// One Zentra account: its ledger, its rules and its faults. Owns no socket, clock or task.
#[derive(Clone, Debug)]
pub struct Zentra {
    pub(crate) settings: Settings,
    pub(crate) ids: Ids,
    pub(crate) ledger: Ledger,
    pub(crate) keys: Keys,
    pub(crate) limit: RateLimit,
    pub(crate) timers: Timers,
    pub(crate) outbox: Outbox,
    pub(crate) faults: FaultPlan,
}

impl Zentra {
    /// An account on which nothing has happened.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            ids: Ids::new(settings.seed),
            ledger: Ledger::new(settings.capacity),
            keys: Keys::new(settings.capacity),
            limit: RateLimit::default(),
            timers: Timers::new(settings.capacity),
            outbox: Outbox::new(settings.capacity),
            faults: FaultPlan::new(settings.seed),
            settings,
        }
    }

    /// Applies a request and gives its answer, with no fault. What is due happens first.
    pub fn handle(&mut self, now: Timestamp, request: &Request) -> Response {
        let mut received = self.receive_clean(now, request.clone());
        let (answer, _) = self.conclude(now, &mut received);
        self.render(now, &received.asked, &answer)
    }

    /// Does what has become due: pending charges settle, late effects land.
    ///
    /// Every other call does this first; call it where time passes with no request.
    pub fn tick(&mut self, now: Timestamp) {
        while let Some((at, timer)) = self.timers.take(now) {
            self.fire(at, timer);
        }
    }

    /// When the next thing becomes due: an effect or a webhook.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let webhook = self.outbox.next_due(&self.settings);
        self.timers.next().into_iter().chain(webhook).min()
    }

    /// Takes a webhook delivery that is due; its end is told by [`Self::webhook_sent`].
    pub fn next_webhook(&mut self, now: Timestamp) -> Option<Outgoing> {
        self.outbox.take(now, &self.settings)
    }

    /// Learns how a delivery ended: whether it was answered with 2xx.
    pub fn webhook_sent(&mut self, now: Timestamp, sent: &Outgoing, accepted: bool) {
        self.outbox.report(now, &self.settings, sent, accepted);
    }

    /// Sends events again, each `copies` times. Gives how many events that were.
    pub fn resend_webhooks(
        &mut self,
        now: Timestamp,
        wanted: impl Fn(&Event) -> bool,
        copies: u32,
        order: ResendOrder,
    ) -> usize {
        self.outbox.resend(now, wanted, copies, order)
    }

    /// Sets a charge to any status by hand. `None` where there is no such charge.
    pub fn settle(
        &mut self,
        now: Timestamp,
        reference: &str,
        status: &str,
        failure_code: Option<&str>,
    ) -> Option<Charge> {
        self.tick(now);
        let row = self.ledger.charge_row(reference)?;
        self.set_status(now, row, status, failure_code);
        self.ledger.charges.get(row).cloned()
    }

    /// The faults, to add to and take from.
    pub fn faults(&mut self) -> &mut FaultPlan {
        &mut self.faults
    }

    /// The present settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes settings; what has happened stays.
    pub fn configure(&mut self, change: SettingsChange) {
        self.settings.apply(change);
    }

    /// Forgets everything that happened, what is due, and all faults. Settings stay, and ids go
    /// on, so that none is used twice.
    pub fn reset(&mut self) {
        let ids = self.ids.clone();
        *self = Self { ids, ..Self::new(self.settings.clone()) };
    }

    /// A copy of everything that happened.
    #[must_use]
    pub fn ledger(&self, now: Timestamp) -> LedgerView {
        LedgerView::of(self, now)
    }

    pub(crate) fn not_found(what: &str) -> Answer {
        Answer::problem(404, "not_found", format!("No such {what}"))
    }
}
