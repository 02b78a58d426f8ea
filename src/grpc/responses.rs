//! Domain values to protobuf messages.

use jiff::Timestamp;

use super::proto;
use crate::domain::{
    Charge, ChargeStatus, Display, Environment, Execution, ExecutionPath, Failure, Initiator,
    Money, PaymentToken, ProviderText, Refund, RefundStatus,
};

pub(super) fn charge(charge: Charge) -> proto::Charge {
    proto::Charge {
        id: text(charge.id),
        reference: charge.reference.to_string(),
        amount: Some(money(charge.amount)),
        customer_id: text(charge.customer_id),
        payment_token_id: text(charge.payment_token_id),
        initiator: match charge.initiator {
            None => proto::Initiator::Unspecified,
            Some(Initiator::Customer) => proto::Initiator::Customer,
            Some(Initiator::Merchant) => proto::Initiator::Merchant,
        }
        .into(),
        status: charge_status(charge.status).into(),
        provider_status: charge.provider_status.to_string(),
        next_action: charge
            .next_action
            .map(|url| proto::NextAction { redirect_url: url.as_str().to_owned() }),
        failure: charge.failure.map(failure),
        create_time: charge.create_time.map(timestamp),
    }
}

fn charge_status(status: ChargeStatus) -> proto::ChargeStatus {
    match status {
        ChargeStatus::Pending => proto::ChargeStatus::Pending,
        ChargeStatus::RequiresAction => proto::ChargeStatus::RequiresAction,
        ChargeStatus::Succeeded => proto::ChargeStatus::Succeeded,
        ChargeStatus::Failed => proto::ChargeStatus::Failed,
        ChargeStatus::Cancelled => proto::ChargeStatus::Cancelled,
        ChargeStatus::PartiallyRefunded => proto::ChargeStatus::PartiallyRefunded,
        ChargeStatus::Refunded => proto::ChargeStatus::Refunded,
        ChargeStatus::Disputed => proto::ChargeStatus::Disputed,
        ChargeStatus::Reversed => proto::ChargeStatus::Reversed,
        ChargeStatus::Unrecognized => proto::ChargeStatus::Unrecognized,
    }
}

pub(super) fn refund(refund: Refund) -> proto::Refund {
    proto::Refund {
        id: text(refund.id),
        reference: refund.reference.to_string(),
        charge_reference: refund.charge_reference.to_string(),
        amount: Some(money(refund.amount)),
        reason: text(refund.reason),
        status: match refund.status {
            RefundStatus::Pending => proto::RefundStatus::Pending,
            RefundStatus::Succeeded => proto::RefundStatus::Succeeded,
            RefundStatus::Failed => proto::RefundStatus::Failed,
            RefundStatus::Unrecognized => proto::RefundStatus::Unrecognized,
        }
        .into(),
        provider_status: refund.provider_status.to_string(),
        failure: refund.failure.map(failure),
        create_time: refund.create_time.map(timestamp),
        provider_reference: text(refund.provider_reference),
    }
}

pub(super) fn token(token: PaymentToken) -> proto::PaymentToken {
    use proto::payment_token::Display as Shown;
    proto::PaymentToken {
        id: token.id.to_string(),
        customer_id: text(token.customer_id),
        display: token.display.map(|display| match display {
            Display::Card(card) => Shown::Card(proto::CardDisplay {
                brand: text(card.brand),
                last4: text(card.last4),
                expiry_month: card.expiry_month.map_or(0, i32::from),
                expiry_year: card.expiry_year.map_or(0, i32::from),
            }),
            Display::BankAccount(account) => Shown::BankAccount(proto::BankAccountDisplay {
                bank_code: text(account.bank_code),
                last4: text(account.last4),
            }),
        }),
        provider_status: text(token.provider_status),
        create_time: token.create_time.map(timestamp),
    }
}

pub(super) fn execution(execution: Execution) -> proto::Execution {
    proto::Execution {
        replayed: execution.path == ExecutionPath::Replayed,
        attempts: execution.attempts,
        provider_request_id: text(execution.provider_request_id),
        path: match execution.path {
            ExecutionPath::Direct => proto::ExecutionPath::Direct,
            ExecutionPath::Replayed => proto::ExecutionPath::Replayed,
            ExecutionPath::Recovered => proto::ExecutionPath::Recovered,
        }
        .into(),
        environment: match execution.environment {
            Environment::Simulated => proto::Environment::Simulated,
            Environment::Sandbox => proto::Environment::Sandbox,
            Environment::Live => proto::Environment::Live,
        }
        .into(),
    }
}

fn money(money: Money) -> proto::Money {
    proto::Money {
        amount_minor: money.amount_minor(),
        currency: money.currency().code().to_owned(),
    }
}

fn failure(failure: Failure) -> proto::Failure {
    proto::Failure {
        code: failure.code.as_str().to_owned(),
        message: failure.code.message().to_owned(),
    }
}

fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    // Before 1970 jiff counts both downwards; the contract's nanoseconds count upwards always.
    let (seconds, nanos) = (time.as_second(), time.subsec_nanosecond());
    match nanos {
        0.. => prost_types::Timestamp { seconds, nanos },
        _ => prost_types::Timestamp { seconds: seconds - 1, nanos: nanos + 1_000_000_000 },
    }
}

fn text(text: Option<ProviderText>) -> String {
    text.map_or_else(String::new, |text| text.to_string())
}
