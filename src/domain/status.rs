//! What has become of a charge or refund.

/// The status of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChargeStatus {
    /// Zentra is at work.
    Pending,
    /// The customer has to act.
    RequiresAction,
    /// Paid.
    Succeeded,
    /// Not paid, and it will not be.
    Failed,
    /// Called off.
    Cancelled,
    /// Paid, then given back in part.
    PartiallyRefunded,
    /// Paid, then given back.
    Refunded,
    /// Paid, then disputed by the customer.
    Disputed,
    /// Paid, then taken back by the provider.
    Reversed,
    /// A word that this release does not know: never final, never paid.
    Unrecognized,
}

impl ChargeStatus {
    /// The contract's word, without its prefix.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::RequiresAction => "REQUIRES_ACTION",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
            Self::PartiallyRefunded => "PARTIALLY_REFUNDED",
            Self::Refunded => "REFUNDED",
            Self::Disputed => "DISPUTED",
            Self::Reversed => "REVERSED",
            Self::Unrecognized => "UNRECOGNIZED",
        }
    }

    /// True where the charge will not become paid or unpaid any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Pending | Self::RequiresAction | Self::Unrecognized => false,
            Self::Succeeded
            | Self::Failed
            | Self::Cancelled
            | Self::PartiallyRefunded
            | Self::Refunded
            | Self::Disputed
            | Self::Reversed => true,
        }
    }

    /// True where parts of the charge were given back, or may have been.
    #[must_use]
    pub fn may_show_refunds(self) -> bool {
        match self {
            Self::PartiallyRefunded
            | Self::Refunded
            | Self::Disputed
            | Self::Reversed
            | Self::Unrecognized => true,
            Self::Pending
            | Self::RequiresAction
            | Self::Succeeded
            | Self::Failed
            | Self::Cancelled => false,
        }
    }

    /// True where money came in, whatever became of it later.
    #[must_use]
    pub fn was_paid(self) -> bool {
        match self {
            Self::Succeeded
            | Self::PartiallyRefunded
            | Self::Refunded
            | Self::Disputed
            | Self::Reversed => true,
            Self::Pending
            | Self::RequiresAction
            | Self::Failed
            | Self::Cancelled
            | Self::Unrecognized => false,
        }
    }
}

/// The status of a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefundStatus {
    /// Zentra is at work.
    Pending,
    /// Given back.
    Succeeded,
    /// Not given back, and it will not be.
    Failed,
    /// A word that this release does not know: never final.
    Unrecognized,
}

impl RefundStatus {
    /// The contract's word, without its prefix.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Unrecognized => "UNRECOGNIZED",
        }
    }

    /// True where the refund will not change any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}
