//! The rules of the simulated Zentra, free of sockets, clocks, tasks and chance.
//!
//! [`Zentra`] is told what time it is with every call and makes its ids from a counter, so that
//! the same calls give the same answers. Two ways to drive it:
//!
//! * [`Zentra::handle`] takes a request and gives its answer at once, faults left aside;
//! * [`Zentra::receive`] and [`Zentra::act`] are the same in two steps, with the fault plan asked
//!   in between: *receive* checks the request, locks its key and says how long to wait, *act*
//!   applies the effect and says how, and how late, its answer is to be delivered. Whoever drives
//!   carries that out, or simulates it.

mod action;
mod admit;
mod answer;
mod charges;
mod command;
mod deliver;
mod effects;
mod exchange;
mod faults;
mod fields;
mod ids;
mod instrument;
mod keys;
mod ledger;
mod lists;
mod outbox;
mod rate_limit;
mod records;
mod refunds;
mod request;
mod route;
mod settings;
mod signature;
mod status;
mod table;
#[cfg(test)]
mod tests;
mod tokens;
mod view;
mod zentra;

pub use action::{Action, Effect, Fault, Tamper};
pub use answer::{Answer, Data, Pagination, Problem};
pub use deliver::{Delivery, How};
pub use exchange::Received;
pub use faults::{Decision, FaultId, FaultPlan, FaultView};
pub use fields::{Fault as FieldFault, Fields, Text};
pub use instrument::Instrument;
pub use outbox::{Outgoing, ResendOrder};
pub use records::{CaptureMode, Charge, Event, Failure, Outcome, Refund, Seen, Token, TokenKind};
pub use request::{Request, Response};
pub use route::{Route, Target};
pub use settings::{
    DeclineForm, EnvelopeForm, RefundReference, Settings, SettingsChange, SignatureForm,
};
pub use signature::sign;
pub use view::LedgerView;
pub use zentra::Zentra;

/// The moment `after` later than `now`, or the end of time.
pub(crate) fn later(now: jiff::Timestamp, after: std::time::Duration) -> jiff::Timestamp {
    jiff::SignedDuration::try_from(after)
        .ok()
        .and_then(|after| now.checked_add(after).ok())
        .unwrap_or(jiff::Timestamp::MAX)
}
