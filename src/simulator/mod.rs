//! Zentra, simulated: its REST API over a ledger, with faults on demand.
//!
//! `core` holds the rules and knows no socket, clock or task; the other modules put it on the
//! network. Nothing here uses the crate's own Zentra client or its types: a mistake in the wire
//! format there must not be mirrored here. The guide for users is `docs/SIMULATOR.md`.

mod args;
mod body;
mod connection;
mod control;
pub mod core;
mod options;
mod server;
mod shared;
mod webhooks;

pub use args::SimulateArgs;
pub use core::{
    Action, CaptureMode, Charge, DeclineForm, EnvelopeForm, Event, Fault, FaultId, LedgerView,
    Outcome, Refund, RefundReference, ResendOrder, Route, Seen, Settings, SettingsChange,
    SignatureForm, Tamper, Token, sign,
};
pub use options::Options;
pub use server::{Simulator, start};
