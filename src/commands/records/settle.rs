//! `records settle`: an operator's word ends a payment that nothing else can end.

use clap::{Args, ValueEnum};

use crate::domain::{Actor, Reason};
use crate::engine::Engine;
use crate::idempotency::{
    Class, Fence, Outcome, OwnerId, Record, Settle, SettleAnswer, SettleBegin, WhyNotSettled,
};
use crate::reconciler::{Sighting, sight};

/// What the operator says.
#[derive(Args, Clone, Debug)]
pub(super) struct Word {
    /// What became of the payment. `happened` takes over what Zentra shows under its reference;
    /// `not-happened` is refused where Zentra shows the payment
    #[arg(long, value_enum)]
    outcome: Said,
    /// Who says so
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Said {
    Happened,
    NotHappened,
}

/// Takes the record over, looks once more, and stores the word.
pub(super) async fn settle(
    engine: &Engine,
    record: &Record,
    word: &Word,
) -> Result<String, String> {
    let by = Actor::new(&word.by).map_err(|fault| format!("--by {fault}"))?;
    let reason = Reason::new(&word.reason).map_err(|fault| format!("--reason {fault}"))?;
    let (fence, record) = begin(engine, record).await?;
    let outcome = match (word.outcome, sight(engine, &record).await) {
        (_, Err(trouble)) => {
            return Err(format!("the last look-up failed ({}); try again", trouble.detail));
        }
        (Said::Happened, Ok(Sighting::Same(outcome) | Sighting::Other(outcome))) => outcome,
        (Said::Happened, Ok(Sighting::Nothing)) => {
            return Err("Zentra shows no such payment".to_owned());
        }
        (Said::NotHappened, Ok(Sighting::Same(_))) => {
            return Err("Zentra shows this payment: it happened; see `records show`".to_owned());
        }
        (Said::NotHappened, Ok(Sighting::Nothing | Sighting::Other(_))) => Outcome {
            payload: bytes::Bytes::new(),
            provider_id: None,
            class: Class::NotHappened,
            phase: 0,
        },
    };
    let class = outcome.class;
    let settle = Settle {
        digest: record.subject.digest,
        fence,
        outcome,
        settled_by: format!("{by}: {reason}"),
        periods: engine.settings().periods,
    };
    match engine.store().settle(&settle).await.map_err(|fault| fault.to_string())?.answer {
        SettleAnswer::Settled => {
            let reference = record.subject.reference.as_ref().map(ToString::to_string);
            let digest = record.subject.digest.to_string();
            tracing::info!(
                target: "audit",
                event = "settled", digest, reference, outcome = class.as_str(),
                by = by.as_str(), reason = reason.as_str(), "an operator settled a payment"
            );
            Ok(format!("settled as {}", class.as_str()))
        }
        SettleAnswer::Refused(why) => Err(refused(why).to_owned()),
        SettleAnswer::Begun { .. } => Err("the store gave another step's answer".to_owned()),
    }
}

async fn begin(engine: &Engine, record: &Record) -> Result<(Fence, Box<Record>), String> {
    let settings = engine.settings();
    let begin = SettleBegin {
        digest: record.subject.digest,
        owner: OwnerId::new(rand::random()),
        lease_ms: settings.periods.lease_ms,
        resend_window_ms: u64::try_from(settings.resend_window.as_millis()).unwrap_or(u64::MAX),
    };
    match engine.store().settle_begin(&begin).await.map_err(|fault| fault.to_string())?.answer {
        SettleAnswer::Begun { fence, record } => Ok((fence, record)),
        SettleAnswer::Refused(why) => Err(refused(why).to_owned()),
        SettleAnswer::Settled => Err("the store gave another step's answer".to_owned()),
    }
}

fn refused(why: WhyNotSettled) -> &'static str {
    match why {
        WhyNotSettled::Absent => "the record is gone",
        WhyNotSettled::Leased => "a call works on this payment; wait for its lease to end",
        WhyNotSettled::ResendAllowed => {
            "a caller's retry may still make this payment; settle it when Zentra has forgotten \
             the key"
        }
        WhyNotSettled::Resolved => "the payment has an outcome; see `records show`",
        WhyNotSettled::Fenced => "another call took the payment over; try again",
        WhyNotSettled::OutcomeOpen => {
            "Zentra shows the payment, and it is not final yet; the reconciler follows it"
        }
        WhyNotSettled::TooNew => "a newer release wrote the record; use that release",
    }
}
