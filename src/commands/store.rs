//! `store init`: an operator declares the store to be new.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{failed, operator, say};
use crate::config::ServeArgs;
use crate::idempotency::InitAnswer;

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
    Init(ServeArgs),
}

/// Declares the store new; refuses where it holds records.
pub async fn run(args: StoreArgs) -> ExitCode {
    let StoreCommand::Init(serve) = args.command;
    let (engine, _) = match operator::engine(&serve).await {
        Ok(engine) => engine,
        Err(code) => return code,
    };
    match engine.store().init().await {
        Ok(InitAnswer::Declared) => {
            say("declared new: first sends need no look-up");
            ExitCode::SUCCESS
        }
        Ok(InitAnswer::HasRecords) => failed(
            "the store holds records, or held some since it was last found empty; it is not new, \
             and look-ups go on coming first for as long as they have to",
        ),
        Err(fault) => failed(fault),
    }
}
