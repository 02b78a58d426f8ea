//! Every name of a span's attribute, of a metric and of its labels, in one place, as
//! OpenTelemetry's semantic conventions are still moving.
//!
//! Conventions 1.40 for RPC, HTTP client and database client; what is the product's own begins
//! with `zentra_sidecar`.

/// The conventions that attributes and metrics are named by, for collectors that know others.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.40.0";

/// Attributes and labels.
pub mod attribute {
    /// Always `grpc`.
    pub const RPC_SYSTEM_NAME: &str = "rpc.system.name";
    /// The full name, such as `zentra.gateway.v1.PaymentService/Charge`.
    pub const RPC_METHOD: &str = "rpc.method";
    /// The gRPC code by its name, such as `OK`.
    pub const RPC_RESPONSE_STATUS_CODE: &str = "rpc.response.status_code";
    /// What kind of failure it was; absent where there was none.
    pub const ERROR_TYPE: &str = "error.type";
    /// GET or POST.
    pub const HTTP_REQUEST_METHOD: &str = "http.request.method";
    /// The status as a number.
    pub const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";
    /// Which repeat it is; absent on a first try.
    pub const HTTP_REQUEST_RESEND_COUNT: &str = "http.request.resend_count";
    /// Zentra's host.
    pub const SERVER_ADDRESS: &str = "server.address";
    /// Zentra's port.
    pub const SERVER_PORT: &str = "server.port";
    /// The whole address.
    pub const URL_FULL: &str = "url.full";
    /// The route, with names in the places of references.
    pub const URL_TEMPLATE: &str = "url.template";
    /// The index of the store's database, as text.
    pub const DB_NAMESPACE: &str = "db.namespace";
    /// The store's code of a refusal, such as `READONLY`.
    pub const DB_RESPONSE_STATUS_CODE: &str = "db.response.status_code";
    /// `redis`.
    pub const DB_SYSTEM_NAME: &str = "db.system.name";
    /// The command that runs a script.
    pub const DB_OPERATION_NAME: &str = "db.operation.name";
    /// Which of the store's steps it is.
    pub const DB_STORED_PROCEDURE_NAME: &str = "db.stored_procedure.name";
    /// Who called.
    pub const CALLER: &str = "zentra_sidecar.caller";
    /// Our id of the call.
    pub const REQUEST_ID: &str = "zentra_sidecar.request_id";
    /// The caller's name of the payment.
    pub const REFERENCE: &str = "zentra_sidecar.payment.reference";
    /// What the caller was told went wrong, by its reason.
    pub const REASON: &str = "zentra_sidecar.reason";
    /// How the outcome came about.
    pub const EXECUTION_PATH: &str = "zentra_sidecar.execution.path";
    /// What the policy's rules came to, by its verdict.
    pub const POLICY_EFFECT: &str = "zentra_sidecar.policy.effect";
    /// The first rule that decided.
    pub const POLICY_RULE_ID: &str = "zentra_sidecar.policy.rule_id";
    /// Why a link is there: `replay` or `recovery`.
    pub const LINK: &str = "zentra_sidecar.link";
}

/// Spans that are neither a call nor a request.
pub mod span {
    /// The policy decides.
    pub const POLICY: &str = "policy";
}

/// Labels of the product's own metrics.
pub mod label {
    /// Which RPC, such as `charge`.
    pub const OPERATION: &str = "operation";
    /// A status by the contract's word, such as `SUCCEEDED`.
    pub const STATUS: &str = "status";
    /// An error's reason, such as `OUTCOME_UNKNOWN`; of a loss, why.
    pub const REASON: &str = "reason";
    /// Where there was no room for a call: `door`, `wait`, `queue` or `aside`.
    pub const AT: &str = "at";
    /// An ISO 4217 code.
    pub const CURRENCY: &str = "currency";
    /// What a policy decides of, by the name that rules use, such as `Charge`.
    pub const ACTION: &str = "action";
    /// What a policy's rules came to: `permitted`, `forbidden`, `no_rule` or `failed`.
    pub const EFFECT: &str = "effect";
    /// The same of the policy on trial.
    pub const CANDIDATE_EFFECT: &str = "candidate_effect";
    /// A policy by its content: SHA-256 in hex.
    pub const HASH: &str = "hash";
    /// What a policy is there for: `active` or `candidate`.
    pub const ROLE: &str = "role";
    /// A policy's limit, by its name.
    pub const LIMIT: &str = "limit";
    /// Whether denials are enforced: `enforce` or `observe`.
    pub const MODE: &str = "mode";
    /// What came of something: `taken` or `refused`.
    pub const RESULT: &str = "result";
    /// A circuit's state: `closed`, `open` or `half_open`.
    pub const STATE: &str = "state";
    /// A short name of a key, which tells nothing of it.
    pub const KEY_ID: &str = "key_id";
    /// What is lost: `log` or `audit`.
    pub const TARGET: &str = "target";
    /// The account's name, as the settings give it.
    pub const ACCOUNT: &str = "account";
    /// `simulated`, `sandbox` or `live`.
    pub const ENVIRONMENT: &str = "environment";
}

/// Metrics. The product's own appear at `/metrics` with `_` for `.` and the usual endings.
pub mod metric {
    /// Seconds from a call's arrival to its answer.
    pub const RPC_SERVER_CALL_DURATION: &str = "rpc.server.call.duration";
    /// Seconds of one exchange with Zentra.
    pub const HTTP_CLIENT_REQUEST_DURATION: &str = "http.client.request.duration";
    /// Seconds of one step of the store.
    pub const DB_CLIENT_OPERATION_DURATION: &str = "db.client.operation.duration";

    /// Writes by operation and status.
    pub const PAYMENTS: &str = "zentra_sidecar.payments";
    /// Payments that ended, by operation and status.
    pub const PAYMENTS_ENDED: &str = "zentra_sidecar.payments.ended";
    /// Calls that were answered with an error, by operation and reason.
    pub const CALL_ERRORS: &str = "zentra_sidecar.call.errors";
    /// Money that moved, by operation and currency, in the minor unit.
    pub const MONEY_MOVED: &str = "zentra_sidecar.money.moved.minor";
    /// Writes answered from the record, by operation.
    pub const REPLAYS: &str = "zentra_sidecar.replays";
    /// Payments found by a look-up or a read after doubt, by operation.
    pub const RECOVERIES: &str = "zentra_sidecar.recoveries";
    /// Calls that waited for another's answer, by operation.
    pub const DUPLICATES_WAITED: &str = "zentra_sidecar.duplicates.waited";
    /// Outcomes that the store did not take, by operation.
    pub const OUTCOMES_NOT_STORED: &str = "zentra_sidecar.outcomes.not_stored";
    /// Payments whose outcome is unknown; from the leading reconciler.
    pub const PAYMENTS_UNKNOWN: &str = "zentra_sidecar.payments.unknown";
    /// How long the oldest of them has been so, in seconds.
    pub const PAYMENTS_UNKNOWN_OLDEST_AGE: &str = "zentra_sidecar.payments.unknown.oldest_age";
    /// Payments that Zentra has not ended yet; from the leading reconciler.
    pub const PAYMENTS_OPEN: &str = "zentra_sidecar.payments.open";
    /// Payments with contradictory answers; from the leading reconciler.
    pub const PAYMENTS_CONFLICT: &str = "zentra_sidecar.payments.conflict";
    /// When the store lost its memory, in Unix time; from the leading reconciler.
    pub const STORE_LOST: &str = "zentra_sidecar.store.lost.timestamp.seconds";

    /// What the policy decided, by action and effect.
    pub const POLICY_DECISIONS: &str = "zentra_sidecar.policy.decisions";
    /// The same calls decided by the policy on trial too, by both effects.
    pub const POLICY_TRIALS: &str = "zentra_sidecar.policy.trials";
    /// Payments for which a limit that is not enforced had no room, by operation, role and limit.
    pub const POLICY_LIMITS_OVER: &str = "zentra_sidecar.policy.limits.over";
    /// The policies of the process.
    pub const POLICY_INFO: &str = "zentra_sidecar.policy.info";
    /// Whether a policy's folder holds what is no policy.
    pub const POLICY_STALE: &str = "zentra_sidecar.policy.stale";
    /// Changed folders, by role and result.
    pub const POLICY_RELOADS: &str = "zentra_sidecar.policy.reloads";

    /// Which account this process serves, for joining the others with.
    pub const ACCOUNT_INFO: &str = "zentra_sidecar.account.info";
    /// Whether calls are taken.
    pub const READY: &str = "zentra_sidecar.ready";
    /// Whether the store answers.
    pub const STORE_REACHABLE: &str = "zentra_sidecar.store.reachable";
    /// Zentra's key in use.
    pub const KEY_INFO: &str = "zentra_sidecar.zentra.key.info";
    /// The circuit's state, by state.
    pub const CIRCUIT_STATE: &str = "zentra_sidecar.circuit.state";
    /// Times that it opened.
    pub const CIRCUIT_OPENED: &str = "zentra_sidecar.circuit.opened";
    /// Repeats towards Zentra.
    pub const RETRIES: &str = "zentra_sidecar.retries";
    /// Repeats that the budget did not pay for.
    pub const RETRIES_UNPAID: &str = "zentra_sidecar.retries.unpaid";
    /// What the budget has left, in repeats.
    pub const RETRY_BUDGET_LEFT: &str = "zentra_sidecar.retry.budget.left";
    /// Free places among the requests that are at Zentra at once.
    pub const ZENTRA_PLACES_FREE: &str = "zentra_sidecar.zentra.places.free";
    /// Free places among the calls that are taken at once.
    pub const CALL_PLACES_FREE: &str = "zentra_sidecar.call.places.free";
    /// Calls that there was no room for, by where.
    pub const CALLS_REFUSED: &str = "zentra_sidecar.calls.refused";
    /// Connections that there are.
    pub const CONNECTIONS_OPEN: &str = "zentra_sidecar.connections.open";
    /// Connections closed at once.
    pub const CONNECTIONS_REFUSED: &str = "zentra_sidecar.connections.refused";
    /// TLS handshakes that came to nothing.
    pub const HANDSHAKES_FAILED: &str = "zentra_sidecar.tls.handshakes.failed";
    /// The end of the certificate in force, in Unix time.
    pub const CERTIFICATE_END: &str = "zentra_sidecar.tls.certificate.not_after.timestamp.seconds";
    /// Zentra's `X-RateLimit-Limit`.
    pub const RATE_LIMIT: &str = "zentra_sidecar.zentra.rate_limit";
    /// Zentra's `X-RateLimit-Remaining`.
    pub const RATE_LIMIT_REMAINING: &str = "zentra_sidecar.zentra.rate_limit.remaining";
    /// Zentra's `X-RateLimit-Reset`, in Unix time.
    pub const RATE_LIMIT_RESET: &str = "zentra_sidecar.zentra.rate_limit.reset.timestamp.seconds";
    /// Spans that were lost, by reason.
    pub const SPANS_DROPPED: &str = "zentra_sidecar.telemetry.spans.dropped";
    /// Lines that were lost, by target.
    pub const LINES_DROPPED: &str = "zentra_sidecar.telemetry.lines.dropped";
}
