//! The payment policy: rules in Cedar, limits, and what they say of a call.
//!
//! A policy is a folder: `*.cedar` files with rules, `limits.toml`, and scenarios in `tests`. It
//! is read and checked as a whole; a folder with anything wrong is no policy. docs/POLICY.md says
//! how one is written.
//!
//! It knows nothing of records and of gRPC: it is asked a [`Question`], and gives a [`Decision`].

mod action;
mod complaint;
mod decide;
mod decision;
mod folder;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod limits;
mod live;
mod needs;
mod question;
mod rules;
mod sample;
mod scan;
pub mod scenarios;
mod schema;
mod simple;
mod table;

pub use action::Action;
pub use complaint::{Complaint, Complaints};
pub use decide::{Policy, Weighed};
pub use decision::{Decision, Verdict};
pub use folder::{Files, read_scenarios};
pub use limits::{By, Limit, Measure, Taking};
pub use live::{Mode, Policies, Role, Watched};
pub use question::{ChargeOf, Fields, Question};
pub use rules::Rule;
pub use sample::Sample;
pub use schema::SCHEMA;

#[cfg(test)]
mod tests;
