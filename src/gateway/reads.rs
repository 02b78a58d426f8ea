//! The four reads. All but `GetRefund` work without the store.

use std::future::Future;

use opentelemetry::context::FutureExt as _;
use tokio::time::{Instant, timeout_at};

use super::payments::own_reference;
use super::{Call, Gateway, observe, policy, trouble};
use crate::domain::{
    Charge, CustomerId, ListPage, Operation, Page, PaymentToken, Reference, Refund,
};
use crate::error::{Error, MoneyMoved, Reason};
use crate::idempotency::{Lookup, Namespace};
use crate::policy::Fields;
use crate::zentra::{Reply, Trouble, Zentra};

impl Gateway {
    /// Reads a charge.
    ///
    /// # Errors
    /// `POLICY_DENIED`, `NOT_FOUND`, `UPSTREAM_UNAVAILABLE` and the other errors of reads.
    pub async fn get_charge(
        &self,
        call: Call,
        reference: Reference,
    ) -> Result<Reply<Charge>, Error> {
        self.permit(&call, Operation::GetCharge, policy::of_reference(&reference))?;
        let began = Instant::now();
        let reply = in_time(&call, self.zentra_for(&call).get_charge(&reference))
            .await
            .map_err(|error| error.reference(reference.as_str()))?;
        self.seen(&reference, &reply, began);
        Ok(reply)
    }

    /// Reads a refund, by Zentra's own reference where it gave one. That one is known to the
    /// store alone: without the store a refund that is not found may exist all the same.
    ///
    /// # Errors
    /// As [`Gateway::get_charge`].
    pub async fn get_refund(
        &self,
        call: Call,
        reference: Reference,
    ) -> Result<Reply<Refund>, Error> {
        self.permit(&call, Operation::GetRefund, policy::of_reference(&reference))?;
        let lookup = Lookup::Reference(Namespace::Refund, reference.clone());
        let record = timeout_at(call.answer_by, self.engine().store().read(&lookup)).await;
        let store_told = matches!(record, Ok(Ok(_)));
        let own = match record {
            Ok(Ok(stamped)) => stamped
                .answer
                .and_then(|record| record.outcome)
                .and_then(|outcome| own_reference(&outcome))
                .and_then(|text| Reference::new(text.as_str()).ok()),
            Ok(Err(_)) => None,
            // The store has taken all of the call's time: there is none left to ask Zentra in.
            Err(_) => {
                return Err(Error::new(Reason::IdempotencyStoreUnavailable)
                    .money_moved(MoneyMoved::NotApplicable)
                    .operator_text("the store took all of the call's time")
                    .reference(reference.as_str()));
            }
        };
        let asked = own.as_ref().unwrap_or(&reference);
        let read = in_time(&call, self.zentra_for(&call).get_refund(asked)).await;
        let mut reply = read.map_err(|error| match error.reason() {
            Reason::NotFound if !store_told => Error::new(Reason::UpstreamUnavailable)
                .money_moved(MoneyMoved::NotApplicable)
                .operator_text("not found, but the store cannot tell Zentra's own reference")
                .reference(reference.as_str()),
            _ => error.reference(reference.as_str()),
        })?;
        reply.value.name(reference.as_str());
        Ok(reply)
    }

    /// Reads a page of the account's charges.
    ///
    /// # Errors
    /// As [`Gateway::get_charge`].
    pub async fn list_charges(
        &self,
        call: Call,
        page: ListPage,
    ) -> Result<Reply<Page<Charge>>, Error> {
        self.permit(&call, Operation::ListCharges, Fields::default())?;
        in_time(&call, self.zentra_for(&call).list_charges(page)).await
    }

    /// Reads a page of a customer's saved payment methods.
    ///
    /// # Errors
    /// As [`Gateway::get_charge`].
    pub async fn list_tokens(
        &self,
        call: Call,
        customer_id: CustomerId,
        page: ListPage,
    ) -> Result<Reply<Page<PaymentToken>>, Error> {
        self.permit(&call, Operation::ListTokens, policy::of_customer(&customer_id))?;
        in_time(&call, self.zentra_for(&call).list_tokens(&customer_id, page)).await
    }

    fn zentra_for(&self, call: &Call) -> Zentra {
        self.engine().zentra().by(call.answer_by)
    }

    /// Passes on what a read that began at this moment has shown, behind the caller's back.
    pub(super) fn seen(&self, reference: &Reference, reply: &Reply<Charge>, began: Instant) {
        if !reply.value.status.is_final() {
            return;
        }
        let Ok(permit) = self.shared.observations.clone().try_acquire_owned() else { return };
        let seen = observe::Seen {
            reference: reference.clone(),
            charge: reply.value.clone(),
            request_id: reply.request_id.clone(),
            began,
        };
        let seen = observe::charge_seen(self.engine().clone(), seen);
        let seen = async move {
            seen.await;
            drop(permit);
        };
        self.engine().spawn(seen.with_current_context());
    }
}

/// Bounds a read by the caller's time.
pub(super) async fn in_time<T>(
    call: &Call,
    read: impl Future<Output = Result<Reply<T>, Trouble>>,
) -> Result<Reply<T>, Error> {
    match timeout_at(call.answer_by, read).await {
        Ok(reply) => reply.map_err(trouble::of_read),
        Err(_) => Err(Error::new(Reason::UpstreamUnavailable)
            .money_moved(MoneyMoved::NotApplicable)
            .operator_text("the caller's time is over")),
    }
}
