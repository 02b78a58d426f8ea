//! A call's span: below the caller's, by OpenTelemetry's conventions for RPC servers.

use opentelemetry::trace::{SpanContext, Status, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};
use tonic::Code;
use tonic::metadata::MetadataMap;

use super::told::End;
use crate::domain::Operation;
use crate::telemetry::names::attribute;
use crate::telemetry::trace_context::{TRACEPARENT, TRACESTATE, parse};

/// The full name of an operation's RPC.
pub(super) fn method(operation: Operation) -> &'static str {
    match operation {
        Operation::Tokenize => "zentra.gateway.v1.PaymentService/Tokenize",
        Operation::Charge => "zentra.gateway.v1.PaymentService/Charge",
        Operation::Renew => "zentra.gateway.v1.PaymentService/Renew",
        Operation::Refund => "zentra.gateway.v1.PaymentService/Refund",
        Operation::Verify => "zentra.gateway.v1.PaymentService/Verify",
        Operation::GetCharge => "zentra.gateway.v1.PaymentService/GetCharge",
        Operation::ListCharges => "zentra.gateway.v1.PaymentService/ListCharges",
        Operation::GetRefund => "zentra.gateway.v1.PaymentService/GetRefund",
        Operation::ListTokens => "zentra.gateway.v1.PaymentService/ListTokens",
    }
}

/// What stands for all methods that there are not, as the conventions have it.
pub(super) const OTHER: &str = "_OTHER";

/// The operation of a path; none where it is not one of payments.
pub(super) fn operation(path: &str) -> Option<Operation> {
    let full = path.strip_prefix('/')?;
    Operation::ALL.into_iter().find(|operation| method(*operation) == full)
}

/// The caller's span, where it names exactly one. Baggage is not looked at.
pub(super) fn caller_span(metadata: &MetadataMap) -> Option<SpanContext> {
    let mut parents = metadata.get_all(TRACEPARENT).iter();
    let parent = parents.next()?.to_str().ok()?;
    if parents.next().is_some() {
        return None;
    }
    // Several lines of it are one list, as the standard has it; whoever sends that many loses them.
    let mut states = metadata.get_all(TRACESTATE).iter();
    let state = states.next().and_then(|state| state.to_str().ok());
    parse(parent, state.filter(|_| states.next().is_none()))
}

/// The codes that are a server's failure, by the conventions; all others are the caller's affair.
pub(super) fn is_server_error(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// A code's name, such as `OK`.
pub(super) fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// What is known of a call when it comes, beside its method.
pub(super) struct Came<'a> {
    pub(super) caller: &'a str,
    pub(super) request_id: &'a str,
    pub(super) reference: Option<&'a str>,
}

/// Ends the span of a call.
pub(super) fn end(context: &Context, came: &Came<'_>, code: Code, end: End<'_>) {
    let span = context.span();
    if !span.is_recording() {
        return;
    }
    let text = |name: &'static str, value: &str| KeyValue::new(name, value.to_owned());
    let mut attributes = Vec::with_capacity(7);
    attributes.push(KeyValue::new(attribute::RPC_RESPONSE_STATUS_CODE, code_name(code)));
    attributes.push(text(attribute::CALLER, came.caller));
    attributes.push(text(attribute::REQUEST_ID, came.request_id));
    attributes.extend(came.reference.map(|it| text(attribute::REFERENCE, it)));
    if let End::Answered(told) = end {
        let path = told.path.map(|path| path.as_str());
        attributes.extend(path.map(|it| KeyValue::new(attribute::EXECUTION_PATH, it)));
    }
    let reason = end.error().map(|error| error.reason().as_str());
    attributes.extend(reason.map(|it| KeyValue::new(attribute::REASON, it)));
    let is_failure = is_server_error(code);
    if is_failure {
        attributes.push(KeyValue::new(attribute::ERROR_TYPE, code_name(code)));
    }
    // At once: each setting takes the span's lock.
    span.set_attributes(attributes);
    if is_failure {
        span.set_status(Status::error(end.word()));
    }
    span.end();
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::grpc::proto::FILE_DESCRIPTOR_SET;

    #[test]
    fn every_rpc_of_payments_is_known_by_its_path() {
        let set = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        let services = set.file.iter().flat_map(|file| &file.service);
        let payments = services.filter(|service| service.name() == "PaymentService");
        let mut known = 0;
        for rpc in payments.flat_map(|service| &service.method) {
            let path = format!("/zentra.gateway.v1.PaymentService/{}", rpc.name());
            assert_eq!(operation(&path).map(method), path.strip_prefix('/'));
            known += 1;
        }
        assert_eq!(known, Operation::ALL.len());
        assert_eq!(operation("/zentra.gateway.v1.PaymentService/Other"), None);
        assert_eq!(operation("/grpc.health.v1.Health/Check"), None);
    }
}
