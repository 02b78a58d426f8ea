//! The one place where an error becomes a gRPC status.

use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::error::{Error, Reason, Retry};

/// The domain of `google.rpc.ErrorInfo`.
const DOMAIN: &str = "zentra-sidecar";
/// Tells clients that retry by themselves when to, or with -1 that they must not.
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// Makes the status that the caller gets, with `google.rpc` details.
pub(super) fn from_error(error: &Error, request_id: &str) -> Status {
    let reason = error.reason();
    let mut metadata: std::collections::HashMap<String, String> =
        error.metadata().map(|(name, value)| (name.to_owned(), value)).collect();
    metadata.insert("request_id".to_owned(), request_id.to_owned());
    let mut details = ErrorDetails::with_error_info(reason.as_str(), DOMAIN, metadata);
    for violation in error.violations().iter() {
        details.add_bad_request_violation(violation.field, violation.fault.to_string());
    }
    let pushback_ms = match error.retry_advice() {
        Retry::Never => -1,
        Retry::After(wait) => {
            details.set_retry_info(Some(wait));
            i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)
        }
    };
    let mut headers = MetadataMap::new();
    headers.insert(PUSHBACK, pushback_ms.into());
    let text = if error.violations().is_empty() {
        reason.caller_text().to_owned()
    } else {
        // A fault's text never repeats the value, so that this is safe to log on the other side.
        format!("{} {}", reason.caller_text(), error.violations())
    };
    Status::with_error_details_and_metadata(code(reason), text, details, headers)
}

fn code(reason: Reason) -> Code {
    match reason {
        Reason::InvalidRequest | Reason::UpstreamRejected => Code::InvalidArgument,
        Reason::IdempotencyKeyReused
        | Reason::OutcomeConflict
        | Reason::OutcomeSettled
        | Reason::UpstreamNotFound
        | Reason::TokenNotReady
        | Reason::RefundExceedsCharge
        | Reason::ChargeNotRefundable => Code::FailedPrecondition,
        Reason::ReferenceAlreadyUsed => Code::AlreadyExists,
        Reason::IdempotencyInProgress => Code::Aborted,
        Reason::OutcomeUnknown
        | Reason::IdempotencyStoreUnavailable
        | Reason::RecordTooNew
        | Reason::UpstreamUnreachable
        | Reason::UpstreamUnavailable
        | Reason::CircuitOpen
        | Reason::ShuttingDown
        | Reason::Stopped => Code::Unavailable,
        Reason::OutcomeUnresolved => Code::Unknown,
        Reason::UpstreamAuth => Code::Internal,
        Reason::NotFound => Code::NotFound,
        Reason::UpstreamRateLimited | Reason::Overloaded | Reason::LimitExceeded => {
            Code::ResourceExhausted
        }
        Reason::CardDataRefused | Reason::CallerNotAllowed | Reason::PolicyDenied => {
            Code::PermissionDenied
        }
        Reason::DeadlineTooShort => Code::DeadlineExceeded,
    }
}
