//! The status words that this Zentra uses by itself. The control API may set any other.

pub(crate) const PENDING: &str = "pending";
pub(crate) const REQUIRES_ACTION: &str = "requires_action";
pub(crate) const SUCCESSFUL: &str = "successful";
pub(crate) const FAILED: &str = "failed";
pub(crate) const PARTIALLY_REFUNDED: &str = "partially_refunded";
pub(crate) const REFUNDED: &str = "refunded";

/// Whether the money was taken, so that a refund is possible.
pub(crate) fn is_paid(status: &str) -> bool {
    matches!(status, SUCCESSFUL | PARTIALLY_REFUNDED | REFUNDED)
}

/// Whether the charge still waits for something.
pub(crate) fn is_open(status: &str) -> bool {
    matches!(status, PENDING | REQUIRES_ACTION)
}
