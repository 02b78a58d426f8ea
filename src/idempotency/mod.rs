//! Exactly-once effects.

mod digest;

pub use digest::{KeyDigest, Scope};
