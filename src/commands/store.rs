//! `store init`: an operator declares the store to be new.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{failed, operator, say};
use crate::config::ServeArgs;
use crate::domain::{Actor, Reason};
use crate::engine::Engine;
use crate::idempotency::InitAnswer;
use crate::telemetry::audit::{OperatorAct, Stage};

const HAS_RECORDS: &str = "the store holds records, or held some since it was last found empty; it is not new, and \
     look-ups go on coming first for as long as they have to";

/// What to do with the store.
#[derive(Args, Clone, Debug)]
pub struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum StoreCommand {
    /// Declare a new, empty store: nothing was ever paid through it, so that no look-up has to
    /// come before a first send. Never do this after the store lost its content
    Init {
        /// Who declares it
        #[arg(long, value_name = "NAME")]
        by: Option<String>,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,

        #[command(flatten)]
        serve: ServeArgs,
    },
}

/// Declares the store new; refuses where it holds records.
pub async fn run(args: StoreArgs) -> ExitCode {
    let StoreCommand::Init { by, reason, serve } = args.command;
    let (engine, _) = match operator::engine(&serve).await {
        Ok(engine) => engine,
        Err(code) => return code,
    };
    init(&engine, by.as_deref(), reason.as_deref()).await.map_or_else(failed, |text| {
        say(text);
        ExitCode::SUCCESS
    })
}

async fn init(
    engine: &Engine,
    by: Option<&str>,
    reason: Option<&str>,
) -> Result<&'static str, String> {
    let by = by.map(Actor::new).transpose().map_err(|fault| format!("--by {fault}"))?;
    let why = reason.map(Reason::new).transpose().map_err(|fault| format!("--reason {fault}"))?;
    let audit = |stage| {
        let (by, why) = (by.as_ref().map(Actor::as_str), why.as_ref().map(Reason::as_str));
        engine.telemetry().audit().store(OperatorAct { act: "init", stage, by, why });
    };
    audit(Stage::Begun);
    match engine.store().init().await {
        Ok(InitAnswer::Declared) => {
            audit(Stage::Done);
            Ok("declared new: first sends need no look-up")
        }
        Ok(InitAnswer::HasRecords) => {
            audit(Stage::Refused(HAS_RECORDS));
            Err(HAS_RECORDS.to_owned())
        }
        Err(fault) => {
            audit(Stage::Failed(&fault.to_string()));
            Err(fault.to_string())
        }
    }
}
