//! Named points in a payment's way at which a process stops, dies or waits: what machines do at
//! the worst moment, done by tests at a moment of their choice.
//!
//! Only a build with the feature `failpoints` holds any of it, and no production build has that
//! feature. Elsewhere a point is an empty function, and no name is in the binary.

#[cfg(feature = "failpoints")]
mod armed;

#[cfg(feature = "failpoints")]
pub(crate) use armed::{LATER_FORMAT, format_written, reach};

/// A point in a payment's way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// Nothing is known of the call but that it came.
    BeforeClaim,
    /// The payment is this call's, and no byte has left.
    AfterClaim,
    /// A POST is about to leave; the send fence has not been asked yet.
    BeforeSend,
    /// Zentra has answered a POST, or it came to nothing; the store knows nothing of that.
    AfterAnswer,
    /// The store has the outcome, or could not be told; the caller has not.
    AfterComplete,
}

/// Goes on at once.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) async fn reach(_: Point) {}

/// The record format that this build writes: its usual one.
#[cfg(not(feature = "failpoints"))]
pub(crate) const fn format_written(usual: u32) -> u32 {
    usual
}

/// What a release that writes a later record format adds to the store's scripts: nothing.
#[cfg(not(feature = "failpoints"))]
pub(crate) const LATER_FORMAT: &str = "";
