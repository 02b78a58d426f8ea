//! Requests that are good, for stories that spoil one thing at a time.

use zentra_sidecar::grpc::proto::tokenize_request::PaymentMethod;
use zentra_sidecar::grpc::proto::{
    BankAccount, Card, ChargeRequest, GetChargeRequest, GetRefundRequest, ListChargesRequest,
    ListTokensRequest, Money, RefundRequest, RenewRequest, TokenizeRequest, VerifyRequest,
};

pub(crate) const CUSTOMER: &str = "cus_1";
pub(crate) const GOOD_CARD: &str = "4242424242424242";
pub(crate) const SETTLING_CARD: &str = "4000000000000077";
pub(crate) const DECLINED_CARD: &str = "4000000000000002";

pub(crate) fn ngn(amount_minor: i64) -> Option<Money> {
    Some(Money { amount_minor, currency: "NGN".into() })
}

pub(crate) fn card(number: &str) -> TokenizeRequest {
    TokenizeRequest {
        idempotency_key: "key-token".into(),
        customer_id: CUSTOMER.into(),
        payment_method: Some(PaymentMethod::Card(Card {
            number: number.into(),
            expiry_month: 12,
            expiry_year: 2030,
            cvv: "739".into(),
            holder_name: "Ada Canary".into(),
        })),
        actor: "jo@shop".into(),
    }
}

pub(crate) fn bank_account(number: &str) -> TokenizeRequest {
    TokenizeRequest {
        payment_method: Some(PaymentMethod::BankAccount(BankAccount {
            account_number: number.into(),
            bank_code: "058".into(),
            account_name: "Ada Canary".into(),
        })),
        ..card("")
    }
}

/// 500.00 NGN, under a key made from the reference.
pub(crate) fn charge(reference: &str) -> ChargeRequest {
    ChargeRequest {
        idempotency_key: format!("key-{reference}"),
        reference: reference.into(),
        amount: ngn(50_000),
        customer_id: CUSTOMER.into(),
        payment_token_id: "tok_1".into(),
        actor: "jo@shop".into(),
    }
}

pub(crate) fn renew(reference: &str) -> RenewRequest {
    let ChargeRequest { idempotency_key, reference, amount, customer_id, payment_token_id, actor } =
        charge(reference);
    RenewRequest { idempotency_key, reference, amount, customer_id, payment_token_id, actor }
}

pub(crate) fn refund(reference: &str, of: &str, amount_minor: Option<i64>) -> RefundRequest {
    RefundRequest {
        idempotency_key: format!("key-{reference}"),
        reference: reference.into(),
        charge_reference: of.into(),
        amount: amount_minor.and_then(ngn),
        reason: String::new(),
        actor: String::new(),
    }
}

pub(crate) fn verify(reference: &str) -> VerifyRequest {
    VerifyRequest { reference: reference.into(), wait: None }
}

pub(crate) fn verify_waiting(reference: &str, seconds: i64) -> VerifyRequest {
    let wait = Some(prost_types::Duration { seconds, nanos: 0 });
    VerifyRequest { reference: reference.into(), wait }
}

pub(crate) fn get_charge(reference: &str) -> GetChargeRequest {
    GetChargeRequest { reference: reference.into() }
}

pub(crate) fn get_refund(reference: &str) -> GetRefundRequest {
    GetRefundRequest { reference: reference.into() }
}

pub(crate) fn list_charges(page_size: i32, page_token: &str) -> ListChargesRequest {
    ListChargesRequest { page_size, page_token: page_token.into() }
}

pub(crate) fn list_tokens(page_size: i32, page_token: &str) -> ListTokensRequest {
    ListTokensRequest { customer_id: CUSTOMER.into(), page_size, page_token: page_token.into() }
}
