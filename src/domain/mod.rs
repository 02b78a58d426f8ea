//! Pure values and commands: what a payment is, and what may be asked of one.
//!
//! This module imports nothing else of the crate. Its types cannot hold rubbish: each is made by
//! a constructor that says what is wrong, in a text that never repeats the value.

mod bank_account;
mod card;
#[cfg(feature = "fuzzing")]
pub(crate) mod card_number_judge;
mod card_number_scan;
mod command;
mod execution;
mod fault;
mod identifier;
mod money;
mod operation;
mod payment;
mod provider_text;
mod scope;
mod spiffe;
mod status;
mod text;

pub use bank_account::BankAccount;
pub use card::{Card, CardParts};
pub use card_number_scan::holds_card_number;
pub use command::{
    Charge as ChargeCommand, ListPage, PaymentMethod, Refund as RefundCommand,
    Tokenize as TokenizeCommand, Verify as VerifyCommand,
};
pub use execution::{Execution, ExecutionPath};
pub use fault::{Fault, Violation, Violations};
pub use identifier::{CustomerId, IdempotencyKey, PaymentTokenId, Reference};
pub use money::{Currency, Money};
pub use operation::Operation;
pub use payment::{
    BankAccountDisplay, CardDisplay, Charge, Display, Failure, FailureCode, Initiator, Page,
    PaymentToken, Refund,
};
pub use provider_text::{ProviderText, RedirectUrl};
pub use scope::{Account, Caller, Environment};
pub use spiffe::{SpiffeFault, SpiffeId, SpiffePattern, TrustDomain};
pub use status::{ChargeStatus, RefundStatus};
pub use text::{Actor, Reason};
