//! Records as a person on call reads them.

use std::fmt::Write as _;
use std::time::Duration;

use crate::domain::Reference;
use crate::idempotency::{Outcome, PendingStats, Record, State};

/// Everything about one record.
pub(super) fn whole(record: &Record, now_ms: u64) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{name:<18} {value}");
    };
    line("state", format!("{} - {}", record.state.as_str(), meaning(record)));
    line("digest", record.subject.digest.to_string());
    line("caller", record.subject.caller.to_string());
    line("operation", record.subject.operation.to_string());
    line("reference", reference(record).to_owned());
    line("first sent", ago(now_ms, record.first_sent_ms));
    line("posts", record.posts.to_string());
    line("epoch", record.fence.epoch.to_string());
    line("held", held(record, now_ms));
    line("ambiguous", yes(record.ambiguous));
    line("after store loss", yes(record.born_ambiguous));
    if let Some(command) = &record.subject.command {
        line("command", String::from_utf8_lossy(command).into_owned());
    }
    if let Some(outcome) = &record.outcome {
        line("outcome", shown(outcome));
    }
    if let Some(contrary) = &record.contrary {
        line("contrary", shown(contrary));
    }
    if let Some(settled_by) = &record.settled_by {
        line("settled", settled_by.clone());
    }
    if let Some(expires_ms) = record.expires_ms {
        line("forgotten in", span(expires_ms.saturating_sub(now_ms)));
    }
    for attempt in &record.attempts {
        line("attempt", attempt.clone());
    }
    text
}

/// One line a record, and the sums of the account.
pub(super) fn list(records: &[Record], stats: &PendingStats, now_ms: u64) -> String {
    let oldest = stats.oldest_unresolved_ms;
    let oldest = oldest.map_or(String::new(), |at| format!(" (the oldest {})", ago(now_ms, at)));
    let mut text = format!(
        "{} unresolved{oldest}, {} open, {} in conflict\n",
        stats.unresolved, stats.open, stats.conflicts
    );
    for record in records {
        let _ = writeln!(
            text,
            "{:<8} {:>14}  {:<7} {:<40} {:<30} posts {}",
            record.state.as_str(),
            ago(now_ms, record.first_sent_ms),
            record.subject.operation.as_str(),
            reference(record),
            record.subject.caller.as_str(),
            record.posts,
        );
    }
    text
}

fn reference(record: &Record) -> &str {
    record.subject.reference.as_ref().map_or("-", Reference::as_str)
}

fn meaning(record: &Record) -> &'static str {
    match (record.state, record.is_final()) {
        (State::Sent, _) => "claimed; a first attempt is under way, or its process is gone",
        (State::Unknown, _) => "an attempt may have arrived; the next retry or look-up tells",
        (State::Done, true) => "final",
        (State::Done, false) => "answered, not final yet",
        (State::Conflict, _) => "answers contradict each other; an operator has to settle it",
    }
}

fn held(record: &Record, now_ms: u64) -> String {
    match record.lease_end_ms.checked_sub(now_ms) {
        Some(left_ms) if left_ms > 0 => format!("by {} for {}", record.fence.owner, span(left_ms)),
        _ => "by nobody".to_owned(),
    }
}

fn shown(outcome: &Outcome) -> String {
    let id = outcome.provider_id.as_deref().unwrap_or("no id");
    let payload = String::from_utf8_lossy(&outcome.payload);
    format!("{} {id} {payload}", outcome.class.as_str())
}

fn yes(it: bool) -> String {
    if it { "yes" } else { "no" }.to_owned()
}

fn ago(now_ms: u64, at_ms: u64) -> String {
    format!("{} ago", span(now_ms.saturating_sub(at_ms)))
}

fn span(milliseconds: u64) -> String {
    let seconds = Duration::from_millis(milliseconds).as_secs();
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}
