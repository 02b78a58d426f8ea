//! `records settle`: an operator's word ends a payment that nothing else can end.

use clap::{Args, ValueEnum};

use crate::domain::{Actor, ProviderText, Reason, Reference};
use crate::engine::{Engine, repeated};
use crate::gateway::payments::{self, Audited, KeptCommand};
use crate::idempotency::{
    Class, Fence, Outcome, OwnerId, Record, Settle, SettleAnswer, SettleBegin, WhyNotSettled,
};
use crate::reconciler::{Sight, Sighting, sight};
use crate::telemetry::audit::{OperatorAct, Stage};

use NotSettled::{Failed, Refused};

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

/// Why a record was not settled, as far as is known.
enum NotSettled {
    /// It was not, and why.
    Refused(String),
    /// Something failed; it may have been.
    Failed(String),
}

/// What a settlement stores, and which of Zentra's answers it rests on.
struct Found {
    record: Box<Record>,
    fence: Fence,
    outcome: Outcome,
    request_id: Option<ProviderText>,
}

/// Takes the record over, looks once more, and stores the word. The audit log is told before
/// anything is done, and of whatever came of it.
pub(super) async fn settle(
    engine: &Engine,
    record: &Record,
    word: &Word,
) -> Result<String, String> {
    let by = Actor::new(&word.by).map_err(|fault| format!("--by {fault}"))?;
    let reason = Reason::new(&word.reason).map_err(|fault| format!("--reason {fault}"))?;
    let own = word.provider_reference.as_deref().map(Reference::new).transpose();
    let own = own.map_err(|fault| format!("--provider-reference {fault}"))?;
    let audit = |stage, recorded| {
        let (by, why) = (Some(by.as_str()), Some(reason.as_str()));
        engine
            .telemetry()
            .audit()
            .operator(OperatorAct { act: "settle", stage, by, why }, recorded);
    };
    let said = Audited::new(record, None);
    audit(Stage::Begun, said.unknown(word.outcome.as_str(), None));
    let found = match find(engine, record, word, own.as_ref()).await {
        Ok(found) => found,
        Err(why) => {
            audit(why.stage(), said.unknown(word.outcome.as_str(), None));
            return Err(why.into_text());
        }
    };
    let settled_by = format!("{by}: {reason}");
    let audited = Audited::new(&found.record, Some(&found.outcome));
    let (class, request_id) = (found.outcome.class.as_str(), found.request_id.as_ref());
    match store(engine, &found, settled_by).await {
        Ok(()) => {
            audit(Stage::Done, audited.known(request_id));
            Ok(format!("settled as {class}"))
        }
        Err(why) => {
            audit(why.stage(), audited.unknown(class, request_id));
            Err(why.into_text())
        }
    }
}

/// What is to be stored, from the operator's word and a last look at Zentra.
async fn find(
    engine: &Engine,
    record: &Record,
    word: &Word,
    own: Option<&Reference>,
) -> Result<Found, NotSettled> {
    let (fence, record) = begin(engine, record).await?;
    let Sight { shown: sighting, request_id } =
        sight(engine, &record, own).await.map_err(|trouble| {
            Refused(format!("the last look-up failed ({}); try again", trouble.detail))
        })?;
    let outcome = match word.outcome {
        Said::Happened => happened(sighting, word.adopt.as_deref()),
        Said::NotHappened => {
            let hidden =
                !word.zentra_confirmed && may_be_hidden(engine, &record).await.map_err(Refused)?;
            not_happened(&sighting, hidden)
        }
    };
    Ok(Found { outcome: outcome.map_err(Refused)?, record, fence, request_id })
}

async fn store(engine: &Engine, found: &Found, settled_by: String) -> Result<(), NotSettled> {
    let subject = &found.record.subject;
    let settle = Settle {
        digest: subject.digest,
        fence: found.fence,
        outcome: found.outcome.clone(),
        amount: payments::amount(subject.operation, &found.outcome),
        settled_by,
        periods: engine.settings().periods,
    };
    let settled = repeated(|| engine.store().settle(&settle)).await;
    match settled.map_err(|fault| Failed(fault.to_string()))?.answer {
        SettleAnswer::Settled => Ok(()),
        SettleAnswer::Refused(why) => Err(Refused(refused(why).to_owned())),
        SettleAnswer::Begun { .. } => Err(strange()),
    }
}

fn strange() -> NotSettled {
    Failed("the store gave another step's answer".to_owned())
}

impl NotSettled {
    fn stage(&self) -> Stage<'_> {
        match self {
            Refused(why) => Stage::Refused(why),
            Failed(why) => Stage::Failed(why),
        }
    }

    fn into_text(self) -> String {
        match self {
            Refused(why) | Failed(why) => why,
        }
    }
}

impl Said {
    /// The word in the audit log, before it is known what is stored.
    fn as_str(self) -> &'static str {
        match self {
            Self::Happened => "HAPPENED",
            Self::NotHappened => "NOT_HAPPENED",
        }
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

async fn begin(engine: &Engine, record: &Record) -> Result<(Fence, Box<Record>), NotSettled> {
    let settings = engine.settings();
    let begin = SettleBegin {
        digest: record.subject.digest,
        owner: OwnerId::new(rand::random()),
        lease_ms: settings.periods.lease_ms,
        resend_window_ms: u64::try_from(settings.resend_window.as_millis()).unwrap_or(u64::MAX),
    };
    let begun = repeated(|| engine.store().settle_begin(&begin)).await;
    match begun.map_err(|fault| Failed(fault.to_string()))?.answer {
        SettleAnswer::Begun { fence, record } => Ok((fence, record)),
        SettleAnswer::Refused(why) => Err(Refused(refused(why).to_owned())),
        SettleAnswer::Settled => Err(strange()),
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
