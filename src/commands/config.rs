//! `config`: the effective settings, secrets masked.

use std::process::ExitCode;

use super::{say, settings, wrong_settings};
use crate::config::{self, ServeArgs};

/// Shows the settings, or every fault of them.
#[must_use]
pub fn run(args: &ServeArgs) -> ExitCode {
    match settings(args) {
        Ok(settings) => {
            say(config::show(&settings).trim_end());
            ExitCode::SUCCESS
        }
        Err(faults) => wrong_settings(faults),
    }
}
