//! Once faults stop, everything resolves.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use zentra_sidecar::domain::Operation;
use zentra_sidecar::engine::Terms;
use zentra_sidecar::error::Reason;
use zentra_sidecar::idempotency::{PendingKind, PendingPage, State, Store as _};

use super::ledger::Kind;
use super::orders::{Heard, Order};
use super::scenario::{Stage, heard_by};

/// Tries that a caller needs at most once nothing goes wrong any more.
const MOST_TRIES: u32 = 6;

/// Every caller tries until it knows; then no record is left open.
pub(crate) async fn everything_resolves(stage: &mut Stage) {
    let orders = stage.orders.clone();
    for order in &orders {
        resolve(stage, order).await;
        if stage.world.is_over() {
            return;
        }
    }
    for _ in 0..4 {
        sleep(Duration::from_secs(2 * 3_600)).await;
        let _ = stage.processes[0].reconciler.pass_if_leading().await;
    }
    let page = PendingPage { kind: PendingKind::All, offset: 0, limit: 100 };
    let left = stage.world.store.pending(page).await.map(|it| it.answer).unwrap_or_default();
    for record in left {
        let is_forgotten_some_day = record.state == State::Unknown && record.expires_ms.is_some();
        let excused = is_forgotten_some_day
            || record.state == State::Unknown
                && orders.iter().any(|it| {
                    it.digest == record.subject.digest.to_string() && is_excused(stage, it)
                });
        if !excused {
            let mut inner = stage.world.lock();
            inner.judge.violated("no record is left open", || {
                format!("{:?} {:?}", record.subject.reference, record.state)
            });
        }
    }
    if stage.world.lock().ledger.under_way() > 0 {
        stage.world.lock().judge.violated("the simulation itself: something is left", String::new);
    }
}

async fn resolve(stage: &Stage, order: &Order) {
    let mut last = Heard::Nothing;
    for _ in 0..MOST_TRIES {
        let process = &stage.processes[0];
        let answer_by = Instant::now() + Duration::from_secs(15);
        last = heard_by(&stage.world, process, order, answer_by, Terms::default(), None).await;
        match &last {
            Heard::Error { wait: Some(wait), .. } => sleep(*wait).await,
            _ => break,
        }
    }
    let fits = match &last {
        Heard::Payment { .. } => true,
        Heard::Nothing | Heard::Error { wait: Some(_), .. } => false,
        Heard::Error { reason, .. } => fits(stage, order, *reason),
    };
    if !fits {
        let mut inner = stage.world.lock();
        inner.judge.violated("everything resolves once faults stop", || {
            format!("{}: {last:?}", order.reference)
        });
    }
}

/// Whether an error is the right end of an order.
fn fits(stage: &Stage, order: &Order, reason: Reason) -> bool {
    let inner = stage.world.lock();
    let reference = order.reference.as_str();
    let others = || stage.orders.iter().filter(|it| it.reference == order.reference);
    let contested =
        others().any(|it| it.amount_minor != order.amount_minor || it.digest != order.digest);
    let other = inner.ledger.has_other(reference);
    match reason {
        Reason::IdempotencyKeyReused => {
            others().any(|it| it.digest == order.digest && it.amount_minor != order.amount_minor)
        }
        Reason::ReferenceAlreadyUsed => inner.judge.is_shared(reference) || other,
        Reason::OutcomeConflict => {
            let two_tokens = order.kind() == Kind::Token && !inner.judge.tokens_promised();
            let contested = inner.judge.losses > 0 && contested;
            inner.judge.is_tampered(reference) || contested || two_tokens || other
        }
        Reason::OutcomeUnresolved => {
            drop(inner);
            is_excused(stage, order)
        }
        // What one of several refunds has taken is not there for the others.
        Reason::ChargeNotRefundable | Reason::RefundExceedsCharge => {
            order.operation == Operation::Refund && contested
        }
        // A decline without an object that comes after doubt proves nothing.
        Reason::UpstreamRejected => {
            (order.operation == Operation::Refund && contested) || stage.world.weather.declines > 0
        }
        _ => false,
    }
}

/// Where Zentra itself can no longer tell, only an operator can end it.
fn is_excused(stage: &Stage, order: &Order) -> bool {
    let inner = stage.world.lock();
    let own = stage.world.weather.own_references && order.kind() == Kind::Refund;
    // A clock that was set back makes even a new store look up first for a while.
    let looked_first = inner.judge.losses > 0 || inner.judge.clock_shifted;
    inner.judge.paused_long || (own && looked_first)
}
