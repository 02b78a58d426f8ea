//! `records`: what the store remembers, for those on call.

mod settle;
mod show;

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use super::{failed, operator, say};
use crate::config::{ServeArgs, Settings};
use crate::domain::{Caller, IdempotencyKey, Operation, Reference};
use crate::engine::Engine;
use crate::idempotency::{
    KeyDigest, Lookup, Namespace, PendingKind, PendingPage, Record, Scope, Stamped,
};

/// What to do with the records.
#[derive(Args, Clone, Debug)]
pub struct RecordsArgs {
    #[command(subcommand)]
    command: RecordsCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum RecordsCommand {
    /// Show one payment's record: its state, every attempt, its outcome
    Show {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        serve: ServeArgs,
    },
    /// List the payments whose outcome is open, the earliest due first
    Pending {
        /// List the payments in CONFLICT instead
        #[arg(long)]
        conflicts: bool,
        /// How many to leave out
        #[arg(long, default_value_t = 0, value_name = "N")]
        offset: u32,
        #[command(flatten)]
        serve: ServeArgs,
    },
    /// End a payment that is UNKNOWN for good, or in CONFLICT, by an operator's word
    Settle {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        word: settle::Word,
        #[command(flatten)]
        serve: ServeArgs,
    },
}

/// Which record.
#[derive(Args, Clone, Debug)]
struct Which {
    #[command(flatten)]
    name: Name,
    /// What kind of payment the reference or key is of
    #[arg(long, value_enum, default_value_t = Kind::Charge)]
    kind: Kind,
}

/// By exactly one of its names.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
struct Name {
    /// By the payment's reference
    #[arg(long)]
    reference: Option<String>,
    /// By its idempotency key, of the caller given by --caller
    #[arg(long)]
    key: Option<String>,
    /// By the name under which it is logged
    #[arg(long)]
    digest: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Charge,
    Renew,
    Refund,
    Tokenize,
}

impl Kind {
    fn operation(self) -> Operation {
        match self {
            Self::Charge => Operation::Charge,
            Self::Renew => Operation::Renew,
            Self::Refund => Operation::Refund,
            Self::Tokenize => Operation::Tokenize,
        }
    }
}

/// Runs one of them.
pub async fn run(args: RecordsArgs) -> ExitCode {
    let result = match args.command {
        RecordsCommand::Show { which, serve } => match operator::engine(&serve).await {
            Ok((engine, settings)) => show_one(&engine, &settings, &which).await,
            Err(code) => return code,
        },
        RecordsCommand::Pending { conflicts, offset, serve } => {
            match operator::engine(&serve).await {
                Ok((engine, _)) => list(&engine, conflicts, offset).await,
                Err(code) => return code,
            }
        }
        RecordsCommand::Settle { which, word, serve } => match operator::engine(&serve).await {
            Ok((engine, settings)) => match find(&engine, &settings, &which).await {
                Ok(found) => settle::settle(&engine, &found.answer, &word).await,
                Err(fault) => Err(fault),
            },
            Err(code) => return code,
        },
    };
    match result {
        Ok(text) => {
            say(text.trim_end());
            ExitCode::SUCCESS
        }
        Err(fault) => failed(fault),
    }
}

async fn show_one(engine: &Engine, settings: &Settings, which: &Which) -> Result<String, String> {
    let found = find(engine, settings, which).await?;
    Ok(show::whole(&found.answer, found.now_ms))
}

async fn list(engine: &Engine, conflicts: bool, offset: u32) -> Result<String, String> {
    let kind = if conflicts { PendingKind::Conflicts } else { PendingKind::All };
    let page = PendingPage { kind, offset, limit: crate::idempotency::MAX_PAGE };
    let stats = engine.store().pending_stats().await.map_err(|fault| fault.to_string())?;
    let records = engine.store().pending(page).await.map_err(|fault| fault.to_string())?;
    Ok(show::list(&records.answer, &stats.answer, records.now_ms))
}

async fn find(
    engine: &Engine,
    settings: &Settings,
    which: &Which,
) -> Result<Stamped<Record>, String> {
    let lookup = lookup(settings, which)?;
    let found = engine.store().read(&lookup).await.map_err(|fault| fault.to_string())?;
    let now_ms = found.now_ms;
    let answer = found.answer.ok_or(
        "there is no such record: never claimed, released, or older than the retention; for \
         older payments Zentra's own records are the truth",
    )?;
    Ok(Stamped { now_ms, answer })
}

fn lookup(settings: &Settings, which: &Which) -> Result<Lookup, String> {
    let operation = which.kind.operation();
    if let Some(reference) = &which.name.reference {
        let reference = Reference::new(reference).map_err(|it| format!("--reference {it}"))?;
        let namespace = Namespace::of(operation).ok_or("a token has no reference; use --key")?;
        return Ok(Lookup::Reference(namespace, reference));
    }
    if let Some(digest) = &which.name.digest {
        let digest = KeyDigest::from_hex(digest).ok_or("--digest must be 64 hex digits")?;
        return Ok(Lookup::Digest(digest));
    }
    let key = which.name.key.as_deref().unwrap_or_default();
    let key = IdempotencyKey::new(key).map_err(|fault| format!("--key {fault}"))?;
    let caller: &Caller = &settings.caller;
    let environment = settings.environment();
    let scope = Scope { account: &settings.account, environment, caller, operation };
    Ok(Lookup::Digest(KeyDigest::new(scope, &key)))
}
