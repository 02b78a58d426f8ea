//! The instruments that are written to. Their labels come from closed lists: an operation, a
//! status, a reason, a currency; never a reference, a customer or a key.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};

use super::names::{attribute, label, metric};
use super::series::{Counts, Times};
use crate::domain::{Currency, ExecutionPath, Money, Operation};
use crate::error::{Overload, Reason};

/// Bounds in seconds, as the conventions give them for RPC and HTTP.
const CALL_SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Bounds in seconds, as the conventions give them for databases.
const STORE_SECONDS: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// Counts and times of calls and payments.
pub struct Measures {
    calls: Times<(&'static str, &'static str)>,
    exchanges: Times<(Exchange, Option<u16>)>,
    store_steps: Times<StoreStep>,
    payments: Counts<(Operation, &'static str)>,
    ended: Counts<(Operation, &'static str)>,
    errors: Counter<u64>,
    refused: Counter<u64>,
    money: Counts<(Operation, Currency)>,
    replays: Counts<Operation>,
    recoveries: Counter<u64>,
    waited: Counter<u64>,
    not_stored: Counter<u64>,
    decisions: Counts<(&'static str, &'static str)>,
    trials: Counts<[&'static str; 3]>,
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

/// What an exchange with Zentra is, and with whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// GET or POST.
    pub method: &'static str,
    /// Zentra's host.
    pub host: Arc<str>,
    /// Zentra's port.
    pub port: u16,
    /// The route, with names in the places of references.
    pub template: &'static str,
}

impl Exchange {
    /// As attributes and labels tell it.
    #[must_use]
    pub fn labels(&self) -> [KeyValue; 4] {
        [
            KeyValue::new(attribute::HTTP_REQUEST_METHOD, self.method),
            KeyValue::new(attribute::SERVER_ADDRESS, self.host.clone()),
            KeyValue::new(attribute::SERVER_PORT, i64::from(self.port)),
            KeyValue::new(attribute::URL_TEMPLATE, self.template),
        ]
    }
}

/// What a step of the store is, and at which server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreStep {
    /// The command.
    pub operation: &'static str,
    /// The script that the command runs, where it runs one.
    pub script: Option<&'static str>,
    /// The index of the database, as text.
    pub database: Arc<str>,
    /// The server's address and port, where they are known.
    pub server: Option<(Arc<str>, u16)>,
}

/// What went wrong with a step of the store.
#[derive(Clone, Debug)]
pub struct StepFailure {
    /// By its kind, or by the server's code where it refused.
    pub kind: Cow<'static, str>,
    /// The label of the server's code, where the server refused.
    pub code: Option<KeyValue>,
}

impl StoreStep {
    /// What it is, as attributes and labels tell it.
    pub fn what(&self) -> impl Iterator<Item = KeyValue> + use<> {
        let script = self.script.map(|it| KeyValue::new(attribute::DB_STORED_PROCEDURE_NAME, it));
        let system = KeyValue::new(attribute::DB_SYSTEM_NAME, "redis");
        let database = KeyValue::new(attribute::DB_NAMESPACE, self.database.clone());
        let operation = KeyValue::new(attribute::DB_OPERATION_NAME, self.operation);
        [system, database, operation].into_iter().chain(script)
    }

    /// Where it is, likewise.
    pub fn place(&self) -> impl Iterator<Item = KeyValue> + use<> {
        let server = self.server.clone().map(|(address, port)| {
            let port = KeyValue::new(attribute::SERVER_PORT, i64::from(port));
            [KeyValue::new(attribute::SERVER_ADDRESS, address), port]
        });
        server.into_iter().flatten()
    }
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
            let histogram = meter.f64_histogram(name).with_unit("s").with_description(text);
            histogram.with_boundaries(bounds.to_vec()).build()
        };
        let count = |name, text| meter.u64_counter(name).with_description(text).build();
        let pending = Arc::<PendingCells>::default();
        pending.show(meter);
        Self {
            calls: Times::new(seconds(
                metric::RPC_SERVER_CALL_DURATION,
                "From a call's arrival to its answer.",
                &CALL_SECONDS,
            )),
            exchanges: Times::new(seconds(
                metric::HTTP_CLIENT_REQUEST_DURATION,
                "One exchange with Zentra.",
                &CALL_SECONDS,
            )),
            store_steps: Times::new(seconds(
                metric::DB_CLIENT_OPERATION_DURATION,
                "One step of the store.",
                &STORE_SECONDS,
            )),
            payments: Counts::new(count(metric::PAYMENTS, "Writes by what they came to.")),
            ended: Counts::new(count(
                metric::PAYMENTS_ENDED,
                "Payments by the status they ended with, once.",
            )),
            errors: count(metric::CALL_ERRORS, "Calls that were answered with an error."),
            refused: count(metric::CALLS_REFUSED, "Calls that there was no room for."),
            money: Counts::new(count(
                metric::MONEY_MOVED,
                "Money that moved, in the currency's minor unit.",
            )),
            replays: Counts::new(count(
                metric::REPLAYS,
                "Writes that were answered from the record.",
            )),
            recoveries: count(
                metric::RECOVERIES,
                "Payments found by a look-up or read after doubt.",
            ),
            waited: count(metric::DUPLICATES_WAITED, "Calls that waited for another's answer."),
            not_stored: count(
                metric::OUTCOMES_NOT_STORED,
                "Outcomes of Zentra's that the store did not take.",
            ),
            decisions: Counts::new(count(metric::POLICY_DECISIONS, "What the policy decided.")),
            trials: Counts::new(count(
                metric::POLICY_TRIALS,
                "What the policy decided, beside what the one on trial would.",
            )),
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
            self.decisions.expect(&labels);
        }
    }

    /// A call was answered; `error` where the sidecar is to blame.
    pub fn call(&self, method: &'static str, code: &'static str, error: bool, time: Duration) {
        let labels = || {
            [
                KeyValue::new(attribute::RPC_SYSTEM_NAME, "grpc"),
                KeyValue::new(attribute::RPC_METHOD, method),
                KeyValue::new(attribute::RPC_RESPONSE_STATUS_CODE, code),
            ]
        };
        let seconds = time.as_secs_f64();
        if error {
            self.calls.record_seldom(seconds, &failed(labels(), code));
        } else {
            self.calls.record((method, code), seconds, |_| labels());
        }
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

    /// An exchange with Zentra ended: with this status, where an answer came, and with what went
    /// wrong, where something did.
    pub fn exchange(
        &self,
        exchange: Exchange,
        status: Option<u16>,
        error: Option<Cow<'static, str>>,
        time: Duration,
    ) {
        let seconds = time.as_secs_f64();
        match error {
            Some(error) => {
                let labels = failed(exchange.labels().into_iter().chain(answered(status)), error);
                self.exchanges.record_seldom(seconds, &labels);
            }
            None => self.exchanges.record((exchange, status), seconds, |(exchange, status)| {
                let labels = exchange.labels().into_iter().chain(answered(*status));
                labels.collect::<Vec<_>>()
            }),
        }
    }

    /// A step of the store ended.
    pub fn store_step(&self, step: StoreStep, failure: Option<StepFailure>, time: Duration) {
        let labels = |step: &StoreStep| step.what().chain(step.place());
        let seconds = time.as_secs_f64();
        match failure {
            Some(StepFailure { kind, code }) => {
                let labels = failed(labels(&step).chain(code), kind);
                self.store_steps.record_seldom(seconds, &labels);
            }
            None => self.store_steps.record(step, seconds, |it| labels(it).collect::<Vec<_>>()),
        }
    }

    /// A write's work ended with an outcome.
    pub fn payment(&self, operation: Operation, status: &'static str, path: ExecutionPath) {
        self.payments.add((operation, status), 1, |_| of_status(operation, status));
        match path {
            ExecutionPath::Direct => {}
            ExecutionPath::Replayed => self.replays.add(operation, 1, |_| [of(operation)]),
            ExecutionPath::Recovered => self.recoveries.add(1, &[of(operation)]),
        }
    }

    /// A payment has ended, and this process was the first to store so.
    pub fn ended(&self, operation: Operation, status: &'static str) {
        self.ended.add((operation, status), 1, |_| of_status(operation, status));
    }

    /// Money has moved, and this process was the first to store so.
    pub fn money_moved(&self, operation: Operation, money: Money) {
        let currency = money.currency();
        // An amount is never negative.
        let amount = u64::try_from(money.amount_minor()).unwrap_or(0);
        self.money.add((operation, currency), amount, |_| {
            [of(operation), KeyValue::new(label::CURRENCY, currency.code())]
        });
    }

    /// A payment was found by the background's look-up, or by a read.
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
        self.decisions.add((action, effect), 1, |_| {
            [KeyValue::new(label::ACTION, action), KeyValue::new(label::EFFECT, effect)]
        });
    }

    /// The policy on trial has decided too.
    pub fn policy_trial(
        &self,
        action: &'static str,
        effect: &'static str,
        candidate: &'static str,
    ) {
        self.trials.add([action, effect, candidate], 1, |_| {
            [
                KeyValue::new(label::ACTION, action),
                KeyValue::new(label::EFFECT, effect),
                KeyValue::new(label::CANDIDATE_EFFECT, candidate),
            ]
        });
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

fn of_status(operation: Operation, status: &'static str) -> [KeyValue; 2] {
    [of(operation), KeyValue::new(label::STATUS, status)]
}

fn answered(status: Option<u16>) -> Option<KeyValue> {
    status.map(|it| KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, i64::from(it)))
}

/// The labels of what went wrong.
fn failed(
    labels: impl IntoIterator<Item = KeyValue>,
    error: impl Into<Cow<'static, str>>,
) -> Vec<KeyValue> {
    let error = KeyValue::new(attribute::ERROR_TYPE, error.into());
    labels.into_iter().chain([error]).collect()
}
