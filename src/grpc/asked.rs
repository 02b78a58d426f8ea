//! What a message asks for, as operators read it, whether it can be granted or not.
//!
//! A field with a fault is as if it were not there: what is no name may be anything, a card number
//! too. Of a payment method nothing is looked at.

use super::proto;
use crate::domain::{
    Actor, Currency, CustomerId, Money, Operation, PaymentTokenId, Reason, Reference,
};
use crate::telemetry::Asked;

/// A request of the service's.
pub(super) trait Message {
    /// The payment's name as it came.
    fn reference(&self) -> Option<&str> {
        None
    }

    /// What a write asks for; none of a read.
    fn asked(&self) -> Option<Asked> {
        None
    }
}

impl Message for proto::TokenizeRequest {
    fn asked(&self) -> Option<Asked> {
        Some(Asked {
            customer_id: CustomerId::new(&self.customer_id).ok(),
            actor: Actor::new(&self.actor).ok(),
            ..Asked::nothing(Operation::Tokenize)
        })
    }
}

/// Charge and Renew have the same fields; the contract keeps them as two messages.
macro_rules! charge {
    ($message:ty, $operation:expr) => {
        impl Message for $message {
            fn reference(&self) -> Option<&str> {
                Some(&self.reference)
            }

            fn asked(&self) -> Option<Asked> {
                Some(Asked {
                    reference: Reference::new(&self.reference).ok(),
                    amount: self.amount.as_ref().and_then(money),
                    customer_id: CustomerId::new(&self.customer_id).ok(),
                    payment_token_id: PaymentTokenId::new(&self.payment_token_id).ok(),
                    actor: Actor::new(&self.actor).ok(),
                    ..Asked::nothing($operation)
                })
            }
        }
    };
}

charge!(proto::ChargeRequest, Operation::Charge);
charge!(proto::RenewRequest, Operation::Renew);

impl Message for proto::RefundRequest {
    fn reference(&self) -> Option<&str> {
        Some(&self.reference)
    }

    fn asked(&self) -> Option<Asked> {
        Some(Asked {
            reference: Reference::new(&self.reference).ok(),
            charge_reference: Reference::new(&self.charge_reference).ok(),
            amount: self.amount.as_ref().and_then(money),
            reason: Reason::new(&self.reason).ok(),
            actor: Actor::new(&self.actor).ok(),
            ..Asked::nothing(Operation::Refund)
        })
    }
}

impl Message for proto::VerifyRequest {
    fn reference(&self) -> Option<&str> {
        Some(&self.reference)
    }
}

impl Message for proto::GetChargeRequest {
    fn reference(&self) -> Option<&str> {
        Some(&self.reference)
    }
}

impl Message for proto::GetRefundRequest {
    fn reference(&self) -> Option<&str> {
        Some(&self.reference)
    }
}

impl Message for proto::ListChargesRequest {}
impl Message for proto::ListTokensRequest {}

fn money(message: &proto::Money) -> Option<Money> {
    Money::new(message.amount_minor, Currency::new(&message.currency).ok()?).ok()
}
