//! The way to Zentra: one HTTP exchange at a time, bounded in time and size.

mod transport;

pub use transport::{Limits, TransportError, Upstream, over_reqwest};
