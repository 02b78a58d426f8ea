//! What a caller is told by an error, decoded as a stock client does.

use std::fmt::Write as _;

use tonic::Status;
use tonic_types::StatusExt;

/// One line: the code, the reason, the metadata in order, the advice on trying again. Each field
/// violation follows on a line of its own.
///
/// The request's id is checked and left out, as it is another one each time. The advice is read
/// from both places where it stands, `RetryInfo` and the pushback header, which must agree.
pub(crate) fn told(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
    assert_eq!(info.domain, "zentra-sidecar");
    let request_id = info.metadata.get("request_id").expect("a request id");
    assert!(request_id.len() == 32 && request_id.bytes().all(|it| it.is_ascii_hexdigit()));
    let mut metadata: Vec<_> = info.metadata.iter().filter(|it| it.0 != "request_id").collect();
    metadata.sort();
    let mut text = format!("{:?} {}", status.code(), info.reason);
    for (name, value) in metadata {
        write!(text, " {name}={value}").unwrap();
    }
    let pushback = status.metadata().get("grpc-retry-pushback-ms").expect("a pushback");
    let pushback: i64 = pushback.to_str().unwrap().parse().unwrap();
    let retry_info = details.retry_info().map(|it| it.retry_delay.expect("a delay").as_millis());
    match retry_info {
        Some(wait) => {
            assert_eq!(i64::try_from(wait).unwrap(), pushback, "RetryInfo and pushback");
            write!(text, "; again in {wait} ms").unwrap();
        }
        None => {
            assert_eq!(pushback, -1, "no RetryInfo, so never");
            text.push_str("; never again");
        }
    }
    for violation in details.bad_request().map_or(&[][..], |it| &it.field_violations) {
        write!(text, "\n  {} {}", violation.field, violation.description).unwrap();
    }
    text
}

/// What the caller of an answer is told, which must be an error.
pub(crate) fn refused<T: std::fmt::Debug>(answer: Result<T, Status>) -> String {
    told(&answer.expect_err("an error"))
}

/// The fields that an error complains about, in order.
pub(crate) fn faulty_fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let violations = details.bad_request().map_or(&[][..], |it| &it.field_violations);
    violations.iter().map(|it| it.field.clone()).collect()
}

/// Everything of a status that reaches the caller, as one text to search in. The request's id,
/// which is random, is left out: it may hold any short run of digits.
pub(crate) fn everything(status: &Status) -> String {
    let decoded = status.get_error_details();
    let id = decoded.error_info().and_then(|info| info.metadata.get("request_id"));
    let details = String::from_utf8_lossy(status.details()).into_owned();
    let text = format!("{} {details} {:?} {decoded:?}", status.message(), status.metadata());
    id.map_or(text.clone(), |id| text.replace(id, ""))
}
