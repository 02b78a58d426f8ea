//! Defects that can be switched on, so that the simulation can show that it finds them.
//!
//! They exist in builds with the feature `mutants` only, which is never on in production: without
//! it every question here is answered with a constant no. A mutant is on in one thread, as one
//! run of the simulation is.

/// One mechanism taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Each attempt is sent under an upstream key of its own.
    NewKeyPerAttempt,
    /// A doubtful attempt frees the claim.
    ClaimFreedOnTimeout,
    /// What a look-up does not find is taken as not made.
    AbsentIsProof,
    /// A 5xx is taken as a failure.
    ServerErrorIsFailure,
    /// After doubt or a takeover the payment is sent again at once.
    NoLookUpBeforeResend,
    /// The lease is not looked at before a send.
    NoSendFence,
    /// A store that has lost its memory is trusted.
    NoCanary,
    /// A record is released although an attempt may have arrived.
    ReleaseOfAmbiguous,
}

#[cfg(feature = "mutants")]
mod switch {
    use std::cell::Cell;

    use super::Mutant;

    thread_local! {
        static ON: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Switches one on in this thread, and any other off.
    pub fn switch_on(mutant: Option<Mutant>) {
        ON.set(mutant);
    }

    pub(crate) fn is_on(mutant: Mutant) -> bool {
        ON.get() == Some(mutant)
    }
}

#[cfg(feature = "mutants")]
pub(crate) use switch::is_on;
#[cfg(feature = "mutants")]
pub use switch::switch_on;

/// No: this build holds no mutants.
#[cfg(not(feature = "mutants"))]
pub(crate) const fn is_on(_: Mutant) -> bool {
    false
}
