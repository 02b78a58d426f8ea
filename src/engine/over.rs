//! Limits that are not enforced, and had no room for a payment: what a policy that observes, or one on
//! trial, would have refused.

use super::execute::PaymentCall;
use super::payment::Payment;

impl<P: Payment> PaymentCall<P> {
    /// Tells operators of those of its takes, by their places, that had no room.
    pub(super) fn tell_over(&self, places: &[usize]) {
        let shared = &self.engine.shared;
        let operation = self.subject.operation;
        for take in places.iter().filter_map(|place| self.terms.takes.get(*place)) {
            let (role, limit) = (take.binding.role(), take.limit.as_str());
            shared.telemetry.measures().limit_over(role, operation, limit.to_owned());
            if let Some(unsaid) = shared.over.now((role, limit, operation)) {
                tracing::warn!(
                    action = operation.as_str(),
                    caller = self.subject.caller.as_str(),
                    role,
                    limit,
                    unsaid,
                    "a limit that is not enforced has no room for a payment"
                );
            }
        }
    }
}
