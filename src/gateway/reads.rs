//! The four reads. They work without any store.

use std::future::Future;

use tokio::time::timeout_at;

use super::{Call, Gateway, trouble};
use crate::domain::{Charge, CustomerId, ListPage, Page, PaymentToken, Reference, Refund};
use crate::error::{Error, MoneyMoved, Reason};
use crate::zentra::{Reply, Trouble};

impl Gateway {
    /// Reads a charge.
    ///
    /// # Errors
    /// `NOT_FOUND`, `UPSTREAM_UNAVAILABLE` and the other errors of reads.
    pub async fn get_charge(&self, call: Call, reference: Reference) -> Result<Charge, Error> {
        in_time(&call, self.engine().zentra().get_charge(&reference))
            .await
            .map_err(|error| error.reference(reference.as_str()))
    }

    /// Reads a refund.
    ///
    /// # Errors
    /// As [`Gateway::get_charge`].
    pub async fn get_refund(&self, call: Call, reference: Reference) -> Result<Refund, Error> {
        in_time(&call, self.engine().zentra().get_refund(&reference))
            .await
            .map_err(|error| error.reference(reference.as_str()))
    }

    /// Reads a page of the account's charges.
    ///
    /// # Errors
    /// As [`Gateway::get_charge`].
    pub async fn list_charges(&self, call: Call, page: ListPage) -> Result<Page<Charge>, Error> {
        in_time(&call, self.engine().zentra().list_charges(page)).await
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
    ) -> Result<Page<PaymentToken>, Error> {
        in_time(&call, self.engine().zentra().list_tokens(&customer_id, page)).await
    }
}

/// Bounds a read by the caller's time.
pub(super) async fn in_time<T>(
    call: &Call,
    read: impl Future<Output = Result<Reply<T>, Trouble>>,
) -> Result<T, Error> {
    match timeout_at(call.answer_by, read).await {
        Ok(reply) => reply.map(|reply| reply.value).map_err(trouble::of_read),
        Err(_) => Err(Error::new(Reason::UpstreamUnavailable)
            .money_moved(MoneyMoved::NotApplicable)
            .operator_text("the caller's time is over")),
    }
}
