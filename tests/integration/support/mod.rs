//! What several tests need.

pub(crate) mod payment;
pub(crate) mod redis;
