//! `records settle`: an operator's word ends a payment that nothing else can end.

use clap::{Args, ValueEnum};

use crate::domain::{Actor, Reason, Reference};
use crate::engine::{Engine, repeated};
use crate::gateway::payments::{self, Audited, KeptCommand};
use crate::idempotency::{
    Class, Fence, Outcome, OwnerId, Record, Settle, SettleAnswer, SettleBegin, WhyNotSettled,
};
use crate::reconciler::{Sight, Sighting, sight};
use crate::telemetry::audit::OperatorAct;

/// What the operator says.
#[derive(Args, Clone, Debug)]
pub(super) struct Word {
    /// What became of the payment. `happened` takes over what Zentra shows under its reference;
    /// `not-happened` is refused where Zentra shows the payment
    #[arg(long, value_enum)]
    outcome: Said,
    /// With `happened`, where Zentra shows another payment than was asked for under the
    /// reference: its id at Zentra, to take it over all the same
    #[arg(long, value_name = "ID")]
    adopt: Option<String>,
    /// Zentra's own reference of a refund that the record does not know
    #[arg(long, value_name = "REFERENCE")]
    provider_reference: Option<String>,
    /// With `not-happened`, where the refund's charge shows refunds: none of them is this one, as
    /// Zentra has confirmed
    #[arg(long)]
    zentra_confirmed: bool,
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
    let own = match &word.provider_reference {
        Some(text) => {
            Some(Reference::new(text).map_err(|fault| format!("--provider-reference {fault}"))?)
        }
        None => None,
    };
    let sight = sight(engine, &record, own.as_ref()).await;
    let Sight { shown: sighting, request_id } = sight
        .map_err(|trouble| format!("the last look-up failed ({}); try again", trouble.detail))?;
    let outcome = match word.outcome {
        Said::Happened => happened(sighting, word.adopt.as_deref())?,
        Said::NotHappened => {
            let hidden = !word.zentra_confirmed && may_be_hidden(engine, &record).await?;
            not_happened(&sighting, hidden)?
        }
    };
    let class = outcome.class;
    let settle = Settle {
        digest: record.subject.digest,
        fence,
        outcome: outcome.clone(),
        amount: payments::amount(record.subject.operation, &outcome),
        settled_by: format!("{by}: {reason}"),
        periods: engine.settings().periods,
    };
    let audited = Audited::new(&record, Some(&outcome));
    let audit = |stage, recorded| {
        let act = OperatorAct { act: "settle", stage, by: by.as_str(), why: reason.as_str() };
        engine.telemetry().audit().operator(act, recorded);
    };
    // Before it is done, so that nothing is done unseen.
    audit("begun", audited.unknown(class.as_str(), request_id.as_ref()));
    let settled = repeated(|| engine.store().settle(&settle)).await;
    match settled.map_err(|fault| fault.to_string())?.answer {
        SettleAnswer::Settled => {
            audit("done", audited.known(request_id.as_ref()));
            Ok(format!("settled as {}", class.as_str()))
        }
        SettleAnswer::Refused(why) => Err(refused(why).to_owned()),
        SettleAnswer::Begun { .. } => Err("the store gave another step's answer".to_owned()),
    }
}

/// What Zentra shows is taken over; another payment than was asked for only by its name.
fn happened(sighting: Sighting, adopt: Option<&str>) -> Result<Outcome, String> {
    match sighting {
        Sighting::Same(outcome) => Ok(outcome),
        Sighting::Other(outcome) if adopt.is_some() && adopt == outcome.provider_id.as_deref() => {
            Ok(outcome)
        }
        Sighting::Other(outcome) => Err(format!(
            "Zentra shows another payment than was asked for under this reference ({}); where it \
             is the truth, say so with --adopt and its id",
            outcome.provider_id.as_deref().unwrap_or("without an id")
        )),
        Sighting::Nothing => {
            Err("Zentra shows no such payment; where a refund has a reference of \
                                  Zentra's own, give it with --provider-reference"
                .to_owned())
        }
    }
}

fn not_happened(sighting: &Sighting, hidden: bool) -> Result<Outcome, String> {
    match sighting {
        Sighting::Same(_) => {
            Err("Zentra shows this payment: it happened; see `records show`".to_owned())
        }
        Sighting::Nothing | Sighting::Other(_) if hidden => Err(
            "the charge of this refund shows refunds, and this may be one of them; ask Zentra, \
             then say --zentra-confirmed"
                .to_owned(),
        ),
        Sighting::Nothing | Sighting::Other(_) => Ok(Outcome {
            payload: bytes::Bytes::new(),
            provider_id: None,
            class: Class::NotHappened,
            phase: 0,
        }),
    }
}

/// True where the record is of a refund, and its charge shows refunds or may hide them.
async fn may_be_hidden(engine: &Engine, record: &Record) -> Result<bool, String> {
    let command = record.subject.command.as_deref().and_then(KeptCommand::read);
    let Some(KeptCommand::Refund(kept)) = command else { return Ok(false) };
    let charge = Reference::new(kept.charge_reference()).map_err(|fault| fault.to_string())?;
    let charge = engine.zentra().get_charge(&charge).await;
    let charge =
        charge.map_err(|trouble| format!("the charge cannot be read ({})", trouble.detail))?;
    Ok(charge.value.status.may_show_refunds())
}

async fn begin(engine: &Engine, record: &Record) -> Result<(Fence, Box<Record>), String> {
    let settings = engine.settings();
    let begin = SettleBegin {
        digest: record.subject.digest,
        owner: OwnerId::new(rand::random()),
        lease_ms: settings.periods.lease_ms,
        resend_window_ms: u64::try_from(settings.resend_window.as_millis()).unwrap_or(u64::MAX),
    };
    let begun = repeated(|| engine.store().settle_begin(&begin)).await;
    match begun.map_err(|fault| fault.to_string())?.answer {
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
