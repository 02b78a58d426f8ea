//! What operators see of tries that end without an answer.

use std::time::Duration;

use opentelemetry::context::FutureExt as _;
use opentelemetry::trace::SpanKind;
use tokio::time::{Instant, timeout};
use zentra_sidecar::upstream::{Effect, StackSettings, TransportError};

use super::{Rig, SECOND, Step, TIME};
use crate::telemetry::kept;

/// Has Zentra hang with one exchange, whose caller hangs up after `patience` seconds; gives what came
/// of it, the kinds of failure and numbers of tries as the metrics tell them, and the kinds of the
/// spans.
async fn hung(effect: Effect, patience: u32) -> (Option<TransportError>, Vec<String>, Vec<String>) {
    let (telemetry, spans, _) = kept();
    let rig = Rig::telling(&StackSettings::default(), [Step::Hangs], telemetry.clone());
    let call = telemetry.tracer().server(None, "a call", Duration::ZERO);
    let exchange = rig.exchange(effect, TIME).with_context(call);
    let answer = timeout(patience * SECOND, exchange).await;
    let text = telemetry.prometheus_text();
    let counts = text
        .lines()
        .filter_map(|line| line.strip_prefix("http_client_request_duration_seconds_count{"))
        .map(|line| {
            let kind = line.split("error_type=\"").nth(1).unwrap().split('"').next().unwrap();
            format!("{kind} {}", line.rsplit(' ').next().unwrap())
        })
        .collect();
    let tries = spans.get_finished_spans().unwrap().into_iter();
    let kinds = tries.filter(|span| span.span_kind == SpanKind::Client).map(|span| {
        let kind = span.attributes.iter().find(|it| it.key.as_str() == "error.type");
        kind.unwrap_or_else(|| panic!("{span:?}")).value.as_str().into_owned()
    });
    (answer.ok().map(Result::unwrap_err), counts, kinds.collect())
}

/// Zentra's silence is what operators look for in the histogram.
#[tokio::test(start_paused = true)]
async fn a_try_whose_time_is_over_is_counted_and_named_so() {
    let began = Instant::now();
    let (answer, counts, spans) = hung(Effect::Write, 60).await;
    assert_eq!((answer, began.elapsed()), (Some(TransportError::TimedOut), 10 * SECOND));
    assert_eq!((counts, spans), (vec!["timeout 1".to_owned()], vec!["timeout".to_owned()]));
}

/// The second try ends with the caller's time, of which Zentra knows nothing.
#[tokio::test(start_paused = true)]
async fn each_try_is_counted_once_by_what_ended_it() {
    let (answer, mut counts, spans) = hung(Effect::Read, 60).await;
    counts.sort();
    assert_eq!(answer, Some(TransportError::TimedOut));
    assert_eq!(counts, ["cancelled 1", "timeout 1"]);
    assert_eq!(spans, ["timeout", "cancelled"]);
}

#[tokio::test(start_paused = true)]
async fn a_try_of_a_caller_who_hangs_up_is_counted_too() {
    let (answer, counts, spans) = hung(Effect::Read, 3).await;
    assert_eq!(answer, None);
    assert_eq!((counts, spans), (vec!["cancelled 1".to_owned()], vec!["cancelled".to_owned()]));
}
