//! The way to Zentra: one HTTP exchange at a time, bounded in time and size.

mod send_fence;
mod transport;

pub use send_fence::SendFence;
pub use transport::{Limits, TransportError, Upstream, over_reqwest, stack};
