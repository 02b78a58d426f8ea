//! W3C Trace Context, version 00, read strictly.
//!
//! Not the SDK's propagator: that takes signs and short ids where the standard has fixed digits,
//! and whatever passes here is sent on to Zentra and written into records and logs.

use std::str::FromStr;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

use crate::domain::holds_card_number;

/// The header of the trace and the span.
pub const TRACEPARENT: &str = "traceparent";
/// The header of what vendors add.
pub const TRACESTATE: &str = "tracestate";

/// The length of a `traceparent` of version 00.
const LENGTH: usize = 55;
/// The longest `tracestate` that is passed on, in bytes: what the standard asks everybody to take.
const LONGEST_STATE: usize = 512;

/// The context of a caller's `traceparent` and, where there is one, its `tracestate`. A `tracestate`
/// that is too long or malformed, or that a card number hides in, is dropped; such a `traceparent` is
/// as if there were none. One random `traceparent` in about 1,000 looks like it, and costs the call its
/// parent; its own trace is whole.
#[must_use]
pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<SpanContext> {
    let state = tracestate
        .filter(|state| {
            state.len() <= LONGEST_STATE && has_keys(state) && !holds_card_number(state)
        })
        .and_then(|state| TraceState::from_str(state).ok())
        .unwrap_or_default();
    read(traceparent, state).filter(|context| !holds_number(context))
}

/// The context of a `traceparent` that a record of ours keeps. Half of it is a caller's, which was
/// looked at when it came, and the rest a number of our own, which may look like anything.
#[must_use]
pub fn parse_kept(traceparent: &str) -> Option<SpanContext> {
    read(traceparent, TraceState::default())
}

fn read(traceparent: &str, state: TraceState) -> Option<SpanContext> {
    let bytes = traceparent.as_bytes();
    let fits = match bytes.get(..3)? {
        b"00-" => bytes.len() == LENGTH,
        b"ff-" => false,
        // A later version begins with the same fields; what follows them is not known here.
        _ => bytes.len() == LENGTH || bytes.get(LENGTH) == Some(&b'-'),
    };
    let version = digits(bytes.get(..2)?)?;
    let dashes = [2, 35, 52].iter().all(|at| bytes.get(*at) == Some(&b'-'));
    if !fits || !dashes || version.len() != 2 {
        return None;
    }
    let trace_id = TraceId::from_hex(digits(bytes.get(3..35)?)?).ok()?;
    let span_id = SpanId::from_hex(digits(bytes.get(36..52)?)?).ok()?;
    let flags = u8::from_str_radix(digits(bytes.get(53..LENGTH)?)?, 16).ok()?;
    // Flags that this version does not know are not passed on, as the standard asks.
    let flags = TraceFlags::new(flags) & TraceFlags::SAMPLED;
    let context = SpanContext::new(trace_id, span_id, flags, true, state);
    context.is_valid().then_some(context)
}

/// The `traceparent` of a span; empty where there is none.
#[must_use]
pub fn format(context: &SpanContext) -> String {
    if !context.is_valid() {
        return String::new();
    }
    let flags = context.trace_flags() & TraceFlags::SAMPLED;
    // Several times a call: digits by digits, as formatting takes ten times as long.
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    let parts = [
        hex::encode_to_slice(context.trace_id().to_bytes(), &mut text[3..35]),
        hex::encode_to_slice(context.span_id().to_bytes(), &mut text[36..52]),
        hex::encode_to_slice([flags.to_u8()], &mut text[53..]),
    ];
    let is_written = parts.iter().all(Result::is_ok);
    str::from_utf8(&text).ok().filter(|_| is_written).map(str::to_owned).unwrap_or_default()
}

/// The id of a span's trace, in hex; empty where there is none.
#[must_use]
pub fn trace_id(context: &SpanContext) -> String {
    if !context.is_valid() {
        return String::new();
    }
    // Not `hex::encode`, which gathers it digit by digit: each line of a call has it.
    let mut text = [0; 32];
    let written = hex::encode_to_slice(context.trace_id().to_bytes(), &mut text);
    written.ok().and_then(|()| str::from_utf8(&text).ok()).map(str::to_owned).unwrap_or_default()
}

/// Each member has a key, which the SDK does not ask for. Members may be empty.
fn has_keys(state: &str) -> bool {
    let mut members = state.split(',').map(str::trim).filter(|member| !member.is_empty());
    members.all(|member| member.find('=').is_some_and(|at| at > 0))
}

/// Whether a card number hides in what goes into records, logs and Zentra's requests: in one of the
/// ids, or across a dash, which may stand in the midst of a number.
fn holds_number(context: &SpanContext) -> bool {
    const SHORTEST_CARD_NUMBER: usize = 13;
    let text = format(context);
    let is_part = |it: &u8| it.is_ascii_digit() || *it == b'-';
    let digits = |run: &[u8]| run.iter().filter(|it| **it != b'-').count();
    // Most have no such run, and are done with here.
    let mut runs = text.as_bytes().split(|it| !is_part(it));
    runs.any(|run| digits(run) >= SHORTEST_CARD_NUMBER) && holds_card_number(&text)
}

/// Lower-case hexadecimal digits, and nothing else.
fn digits(bytes: &[u8]) -> Option<&str> {
    let all = bytes.iter().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
    std::str::from_utf8(bytes).ok().filter(|_| all)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_read_is_written_again() {
        let context = parse(GOOD, Some("vendor=value")).unwrap();
        assert!(context.is_remote() && context.is_sampled());
        assert_eq!(context.trace_state().get("vendor"), Some("value"));
        assert_eq!(format(&context), GOOD);
    }

    /// An id of ours is random, and one in about 850 looks like a card number.
    #[test]
    fn what_a_record_keeps_is_read_whatever_its_ids_look_like() {
        for text in [GOOD, "00-0af7651916cd43dd8448eb211c80319c-4111111111111111-01"] {
            assert_eq!(parse_kept(text).map(|it| format(&it)).as_deref(), Some(text));
        }
        for text in ["", "00", &GOOD.to_uppercase(), &format!("{GOOD}-more")] {
            assert_eq!(parse_kept(text), None, "{text}");
        }
    }

    #[test]
    fn unknown_flags_are_dropped_and_later_versions_are_read() {
        let flags = parse(&GOOD.replace("-01", "-ff"), None).unwrap();
        assert_eq!(format(&flags), GOOD);
        let later = format!("{}-more", GOOD.replacen("00", "cc", 1));
        assert_eq!(format(&parse(&later, None).unwrap()), GOOD);
    }

    #[test]
    fn anything_else_is_as_if_there_were_none() {
        for text in [
            "",
            "00",
            &GOOD.to_uppercase(),
            &GOOD.replacen("00", "ff", 1),
            &GOOD.replacen("00", "0g", 1),
            &format!("{GOOD}-more"),
            &format!(" {GOOD}"),
            &GOOD.replace("-01", "-+1"),
            &GOOD.replace("0af7", "+af7"),
            &GOOD.replace('-', "_"),
            &GOOD.replace("b7ad6b7169203331", "0000000000000000"),
            &GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &GOOD.replace("b7ad6b7169203331", "b7ad6b716920333\u{e9}"),
            &GOOD[..54],
            &GOOD.replace("0af7651916cd43dd8448eb211c80319c", "4111111111111111aaaaaaaaaaaaaaaa"),
            &GOOD.replace("0af7651916cd43dd8448eb211c80319c", "a4111111111111111aaaaaaaaaaaaaaa"),
            &GOOD.replace("b7ad6b7169203331", "4111111111111111"),
            // Across the dash between the ids.
            "00-aaaaaaaaaaaaaaaaaaaaaaaa41111111-11111111aaaaaaaa-01",
            "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa4-111111111111111a-01",
        ] {
            assert_eq!(parse(text, None), None, "{text}");
        }
    }

    #[test]
    fn a_bad_state_does_not_lose_the_trace() {
        let long = format!("vendor={}", "x".repeat(LONGEST_STATE));
        let cards = ["v=4111111111111111", "v=4111-1111-1111-1111", "a=1,b=x4111111111111111x"];
        for state in ["=", "a=b,=c", "word", &long].into_iter().chain(cards) {
            assert_eq!(parse(GOOD, Some(state)).unwrap().trace_state().header(), "", "{state}");
        }
    }

    #[test]
    fn members_of_a_state_may_be_empty() {
        for state in ["a=1,b=2", "a=1,,b=2,", " a=1 ,\t, b=2"] {
            let context = parse(GOOD, Some(state)).unwrap();
            assert_eq!(context.trace_state().header(), "a=1,b=2", "{state}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}", state in "\\PC{0,80}") {
            if let Some(context) = parse(&text, Some(&state)) {
                prop_assert!(context.is_valid());
            }
        }
    }
}
