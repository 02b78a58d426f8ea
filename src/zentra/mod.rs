//! Zentra's REST API as typed operations: commands in, values or trouble out.
//!
//! It knows nothing of gRPC, of idempotency or of policy, and it never decides to try again.

mod address;
mod base_url;
mod classify;
mod client;
mod envelope;
mod fields;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod key;
mod key_ring;
mod paging;
mod routes;
mod trouble;
mod wire;

pub use base_url::{BaseUrl, BaseUrlFault};
pub use client::{Attempt, Reply, Zentra};
pub use key::{KeyFault, SecretKey};
pub use key_ring::{KeyRing, KeySource};
pub use trouble::{Trouble, TroubleKind};
