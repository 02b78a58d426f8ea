//! The instruments that are written to. Their labels come from closed lists: an operation, a
//! status, a reason, a currency; never a reference, a customer or a key.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};

use super::names::{attribute, label, metric};
use crate::domain::{ExecutionPath, Money, Operation};
use crate::error::{Overload, Reason};

/// Bounds in seconds, as the conventions give them for RPC and HTTP.
const CALL_SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Bounds in seconds, as the conventions give them for databases.
const STORE_SECONDS: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// Counts and times of calls and payments.
pub struct Measures {
    calls: Histogram<f64>,
    exchanges: Histogram<f64>,
    store_steps: Histogram<f64>,
    payments: Counter<u64>,
    ended: Counter<u64>,
    errors: Counter<u64>,
    refused: Counter<u64>,
    money: Counter<u64>,
    replays: Counter<u64>,
    recoveries: Counter<u64>,
    waited: Counter<u64>,
    not_stored: Counter<u64>,
    decisions: Counter<u64>,
    trials: Counter<u64>,
    over: Counter<u64>,
    pending: Arc<PendingCells>,
}

/// The account's payments that are not final, as the leading reconciler counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Those of which nobody knows what became.
    pub unknown: u64,
    /// How long the oldest of them has been so.
    pub oldest_unknown: Duration,
    /// Those that Zentra has not ended yet.
    pub open: u64,
    /// Those whose answers contradict each other.
    pub conflicts: u64,
    /// When the loss of the store's memory was last noticed, in seconds of the store's clock; 0 where
    /// none was.
    pub lost_at_seconds: u64,
}

/// One exchange with Zentra.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Method, address, port and route.
    pub labels: [KeyValue; 4],
    /// Zentra's status; none where no answer came.
    pub status: Option<u16>,
    /// What went wrong.
    pub error: Option<Cow<'static, str>>,
    /// How long it took.
    pub time: Duration,
}

#[derive(Default)]
struct PendingCells {
    /// 0 where this process does not count.
    counts: AtomicU64,
    unknown: AtomicU64,
    oldest_unknown_ms: AtomicU64,
    open: AtomicU64,
    conflicts: AtomicU64,
    lost_at_seconds: AtomicU64,
}

impl Measures {
    pub(super) fn new(meter: &Meter) -> Self {
        let seconds = |name, text, bounds: &[f64]| {
            meter
                .f64_histogram(name)
                .with_unit("s")
                .with_description(text)
                .with_boundaries(bounds.to_vec())
                .build()
        };
        let count = |name, text| meter.u64_counter(name).with_description(text).build();
        let pending = Arc::<PendingCells>::default();
        pending.show(meter);
        Self {
            calls: seconds(
                metric::RPC_SERVER_CALL_DURATION,
                "From a call's arrival to its answer.",
                &CALL_SECONDS,
            ),
            exchanges: seconds(
                metric::HTTP_CLIENT_REQUEST_DURATION,
                "One exchange with Zentra.",
                &CALL_SECONDS,
            ),
            store_steps: seconds(
                metric::DB_CLIENT_OPERATION_DURATION,
                "One step of the store.",
                &STORE_SECONDS,
            ),
            payments: count(metric::PAYMENTS, "Writes by what they came to."),
            ended: count(metric::PAYMENTS_ENDED, "Payments by the status they ended with, once."),
            errors: count(metric::CALL_ERRORS, "Calls that were answered with an error."),
            refused: count(metric::CALLS_REFUSED, "Calls that there was no room for."),
            money: count(metric::MONEY_MOVED, "Money that moved, in the currency's minor unit."),
            replays: count(metric::REPLAYS, "Writes that were answered from the record."),
            recoveries: count(metric::RECOVERIES, "Payments found by a look-up after doubt."),
            waited: count(metric::DUPLICATES_WAITED, "Calls that waited for another's answer."),
            not_stored: count(
                metric::OUTCOMES_NOT_STORED,
                "Outcomes of Zentra's that the store did not take.",
            ),
            decisions: count(metric::POLICY_DECISIONS, "What the policy decided."),
            trials: count(
                metric::POLICY_TRIALS,
                "What the policy decided, beside what the one on trial would.",
            ),
            over: count(
                metric::POLICY_LIMITS_OVER,
                "Payments that a limit which is not enforced had no room for.",
            ),
            pending,
        }
    }

    /// Shows what wakes somebody from the start, as none of it: a counter that is born with its
    /// first event has not grown by it, as Prometheus sees it.
    pub fn expect_calls(&self) {
        for operation in Operation::ALL {
            for reason in [Reason::OutcomeConflict, Reason::OutcomeUnresolved, Reason::UpstreamAuth]
            {
                self.errors.add(0, &[of(operation), KeyValue::new(label::REASON, reason.as_str())]);
            }
            if operation.is_write() {
                self.not_stored.add(0, &[of(operation)]);
            }
        }
        for at in Overload::ALL {
            self.refused.add(0, &[KeyValue::new(label::AT, at.as_str())]);
        }
    }

    /// The same for rules that cannot be evaluated, of decisions on these actions.
    pub fn expect_decisions(
        &self,
        actions: impl IntoIterator<Item = &'static str>,
        failed: &'static str,
    ) {
        for action in actions {
            let labels =
                [KeyValue::new(label::ACTION, action), KeyValue::new(label::EFFECT, failed)];
            self.decisions.add(0, &labels);
        }
    }

    /// A call was answered; `error` where the sidecar is to blame.
    pub fn call(&self, method: &'static str, code: &'static str, error: bool, time: Duration) {
        let mut labels = Vec::with_capacity(4);
        labels.push(KeyValue::new(attribute::RPC_SYSTEM_NAME, "grpc"));
        labels.push(KeyValue::new(attribute::RPC_METHOD, method));
        labels.push(KeyValue::new(attribute::RPC_RESPONSE_STATUS_CODE, code));
        if error {
            labels.push(KeyValue::new(attribute::ERROR_TYPE, code));
        }
        self.calls.record(time.as_secs_f64(), &labels);
    }

    /// A call was answered with an error.
    pub fn call_error(&self, operation: Operation, reason: Reason) {
        let labels = [of(operation), KeyValue::new(label::REASON, reason.as_str())];
        self.errors.add(1, &labels);
    }

    /// A call was refused, as there was no room for it.
    pub fn call_refused(&self, at: Overload) {
        self.refused.add(1, &[KeyValue::new(label::AT, at.as_str())]);
    }

    /// An exchange with Zentra ended.
    pub fn exchange(&self, exchange: Exchange) {
        let Exchange { labels, status, error, time } = exchange;
        let mut labels = Vec::from(labels);
        if let Some(status) = status {
            let status = i64::from(status);
            labels.push(KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, status));
        }
        if let Some(error) = error {
            labels.push(KeyValue::new(attribute::ERROR_TYPE, error));
        }
        self.exchanges.record(time.as_secs_f64(), &labels);
    }

    /// A step of the store ended. `labels` say what it was, and where.
    pub fn store_step(
        &self,
        mut labels: Vec<KeyValue>,
        error: Option<&'static str>,
        time: Duration,
    ) {
        if let Some(error) = error {
            labels.push(KeyValue::new(attribute::ERROR_TYPE, error));
        }
        self.store_steps.record(time.as_secs_f64(), &labels);
    }

    /// A write's work ended with an outcome.
    pub fn payment(&self, operation: Operation, status: &'static str, path: ExecutionPath) {
        self.payments.add(1, &[of(operation), KeyValue::new(label::STATUS, status)]);
        match path {
            ExecutionPath::Direct => {}
            ExecutionPath::Replayed => self.replays.add(1, &[of(operation)]),
            ExecutionPath::Recovered => self.recoveries.add(1, &[of(operation)]),
        }
    }

    /// A payment has ended, and this process was the first to store so.
    pub fn ended(&self, operation: Operation, status: &'static str) {
        self.ended.add(1, &[of(operation), KeyValue::new(label::STATUS, status)]);
    }

    /// Money has moved, and this process was the first to store so.
    pub fn money_moved(&self, operation: Operation, money: Money) {
        let currency = KeyValue::new(label::CURRENCY, money.currency().code());
        // An amount is never negative.
        let amount = u64::try_from(money.amount_minor()).unwrap_or(0);
        self.money.add(amount, &[of(operation), currency]);
    }

    /// A payment was found by the background's look-up.
    pub fn recovered(&self, operation: Operation) {
        self.recoveries.add(1, &[of(operation)]);
    }

    /// A call began to wait for another one's answer.
    pub fn waited(&self, operation: Operation) {
        self.waited.add(1, &[of(operation)]);
    }

    /// Zentra has told an outcome, and the store did not take it.
    pub fn outcome_not_stored(&self, operation: Operation) {
        self.not_stored.add(1, &[of(operation)]);
    }

    /// The policy has decided.
    pub fn policy_decision(&self, action: &'static str, effect: &'static str) {
        let labels = [KeyValue::new(label::ACTION, action), KeyValue::new(label::EFFECT, effect)];
        self.decisions.add(1, &labels);
    }

    /// The policy on trial has decided too.
    pub fn policy_trial(
        &self,
        action: &'static str,
        effect: &'static str,
        candidate: &'static str,
    ) {
        let labels = [
            KeyValue::new(label::ACTION, action),
            KeyValue::new(label::EFFECT, effect),
            KeyValue::new(label::CANDIDATE_EFFECT, candidate),
        ];
        self.trials.add(1, &labels);
    }

    /// A limit that is not enforced had no room for a payment. `role` is that of its policy.
    pub fn limit_over(&self, role: &'static str, operation: Operation, limit: String) {
        let labels =
            [of(operation), KeyValue::new(label::ROLE, role), KeyValue::new(label::LIMIT, limit)];
        self.over.add(1, &labels);
    }

    /// What the account's leading reconciler counts; none where another process leads.
    pub fn pending(&self, pending: Option<Pending>) {
        let cells = &*self.pending;
        if let Some(pending) = pending {
            let oldest_ms = u64::try_from(pending.oldest_unknown.as_millis()).unwrap_or(u64::MAX);
            cells.unknown.store(pending.unknown, Ordering::Relaxed);
            cells.oldest_unknown_ms.store(oldest_ms, Ordering::Relaxed);
            cells.open.store(pending.open, Ordering::Relaxed);
            cells.conflicts.store(pending.conflicts, Ordering::Relaxed);
            cells.lost_at_seconds.store(pending.lost_at_seconds, Ordering::Relaxed);
        }
        cells.counts.store(u64::from(pending.is_some()), Ordering::Relaxed);
    }
}

impl PendingCells {
    /// Shows the counts where this process makes them, and nothing where another does: an old
    /// number would be a lie.
    fn show(self: &Arc<Self>, meter: &Meter) {
        type Read = fn(&PendingCells) -> &AtomicU64;
        let gauges: [(&'static str, &'static str, Read); 4] = [
            (metric::PAYMENTS_UNKNOWN, "Payments whose outcome is unknown.", |it| &it.unknown),
            (metric::PAYMENTS_OPEN, "Payments that Zentra has not ended yet.", |it| &it.open),
            (metric::PAYMENTS_CONFLICT, "Payments with contradictory answers.", |it| &it.conflicts),
            (metric::STORE_LOST, "When the store lost its memory; 0 where it did not.", |it| {
                &it.lost_at_seconds
            }),
        ];
        for (name, text, read) in gauges {
            let cells = self.clone();
            let _gauge = meter
                .u64_observable_gauge(name)
                .with_description(text)
                .with_callback(move |observer| {
                    if cells.counts.load(Ordering::Relaxed) == 1 {
                        observer.observe(read(&cells).load(Ordering::Relaxed), &[]);
                    }
                })
                .build();
        }
        let cells = self.clone();
        let _gauge = meter
            .f64_observable_gauge(metric::PAYMENTS_UNKNOWN_OLDEST_AGE)
            .with_unit("s")
            .with_description("How long the oldest unknown outcome has been so.")
            .with_callback(move |observer| {
                if cells.counts.load(Ordering::Relaxed) == 1 {
                    let ms = cells.oldest_unknown_ms.load(Ordering::Relaxed);
                    observer.observe(Duration::from_millis(ms).as_secs_f64(), &[]);
                }
            })
            .build();
    }
}

fn of(operation: Operation) -> KeyValue {
    KeyValue::new(label::OPERATION, operation.as_str())
}
