//! The settings of the payment policy. The folders are read here, so that whatever is wrong with
//! them is told with all other faults.

use std::path::Path;
use std::sync::Arc;

use super::Faults;
use super::args::ServeArgs;
use crate::domain::{Account, Environment};
use crate::policy::{Mode, Policies, Role, Watched};

pub(super) fn read(
    args: &ServeArgs,
    account: Option<&Account>,
    environment: Option<Environment>,
    faults: &mut Faults,
) -> Option<Arc<Policies>> {
    let place = account.cloned().zip(environment);
    let active = load(Role::Active, args.policy.as_deref(), place.as_ref(), faults);
    let candidate = load(Role::Candidate, args.policy_candidate.as_deref(), place.as_ref(), faults);
    let mode = match args.policy_mode.as_str() {
        "enforce" => Some(Mode::Enforce),
        "observe" => Some(Mode::Observe),
        _ => faults.add("--policy-mode", "must be enforce or observe"),
    };
    if named(args.policy_candidate.as_deref()).is_some() && named(args.policy.as_deref()).is_none()
    {
        faults.add::<()>("--policy-candidate", "stands beside a policy: --policy is missing");
    }
    Some(Arc::new(Policies::new(active?, candidate?, mode?)))
}

/// An empty text is no folder, so that a variable can be set to nothing.
fn named(folder: Option<&str>) -> Option<&str> {
    folder.filter(|folder| !folder.is_empty())
}

fn load(
    role: Role,
    folder: Option<&str>,
    place: Option<&(Account, Environment)>,
    faults: &mut Faults,
) -> Option<Option<Watched>> {
    let Some(folder) = named(folder) else { return Some(None) };
    let flag = match role {
        Role::Active => "--policy",
        Role::Candidate => "--policy-candidate",
    };
    // What a policy is for is missing, which is a fault of its own; the policy's faults are told.
    let place = place.cloned().or_else(|| {
        let account = Account::new("default").ok()?;
        Some((account, Environment::Simulated))
    });
    match Watched::load(role, Path::new(folder), place?) {
        Ok(watched) => Some(Some(watched)),
        Err(complaints) => {
            let lines: String = complaints.iter().map(|it| format!("\n    {it}")).collect();
            faults.add(flag, format!("{folder} is no policy:{lines}"))
        }
    }
}
