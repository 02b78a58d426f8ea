//! Zentra's nine documented routes under `/api/v1/payments`.

use http::Method;

use crate::domain::{CustomerId, ListPage, Reference};

/// One route with its arguments.
#[derive(Clone, Copy, Debug)]
pub(super) enum Route<'a> {
    CreateCharge,
    ListCharges(ListPage),
    GetCharge(&'a Reference),
    VerifyCharge(&'a Reference),
    CreateRefund,
    GetRefund(&'a str),
    TokenizeCard,
    TokenizeBankAccount,
    ListTokens(&'a CustomerId, ListPage),
}

impl Route<'_> {
    pub(super) fn method(self) -> Method {
        match self {
            Self::ListCharges(_)
            | Self::GetCharge(_)
            | Self::GetRefund(_)
            | Self::ListTokens(..) => Method::GET,
            Self::CreateCharge
            | Self::VerifyCharge(_)
            | Self::CreateRefund
            | Self::TokenizeCard
            | Self::TokenizeBankAccount => Method::POST,
        }
    }

    /// The path with names in the places of references, for spans and metrics.
    pub(super) fn template(self) -> &'static str {
        match self {
            Self::CreateCharge | Self::ListCharges(_) => "/api/v1/payments/charges",
            Self::GetCharge(_) => "/api/v1/payments/charges/{reference}",
            Self::VerifyCharge(_) => "/api/v1/payments/charges/{reference}/verify",
            Self::CreateRefund => "/api/v1/payments/refunds",
            Self::GetRefund(_) => "/api/v1/payments/refunds/{reference}",
            Self::TokenizeCard => "/api/v1/payments/tokens/card",
            Self::TokenizeBankAccount => "/api/v1/payments/tokens/bank-account",
            Self::ListTokens(..) => "/api/v1/payments/customers/{customer_id}/tokens",
        }
    }

    /// True where a 4xx can mean that the customer's bank said no.
    pub(super) fn can_be_declined(self) -> bool {
        matches!(self, Self::CreateCharge)
    }

    /// The path's segments behind `/api/v1/payments`, and the query.
    pub(super) fn parts(&self) -> (Vec<&str>, Vec<(&'static str, String)>) {
        let paged = |page: &ListPage| {
            vec![("page", page.number.to_string()), ("limit", page.size.to_string())]
        };
        match self {
            Self::CreateCharge => (vec!["charges"], vec![]),
            Self::ListCharges(page) => (vec!["charges"], paged(page)),
            Self::GetCharge(reference) => (vec!["charges", reference.as_str()], vec![]),
            Self::VerifyCharge(reference) => {
                (vec!["charges", reference.as_str(), "verify"], vec![])
            }
            Self::CreateRefund => (vec!["refunds"], vec![]),
            Self::GetRefund(reference) => (vec!["refunds", reference], vec![]),
            Self::TokenizeCard => (vec!["tokens", "card"], vec![]),
            Self::TokenizeBankAccount => (vec!["tokens", "bank-account"], vec![]),
            Self::ListTokens(customer, page) => {
                (vec!["customers", customer.as_str(), "tokens"], paged(page))
            }
        }
    }
}
