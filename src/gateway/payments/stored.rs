//! Outcomes as the store keeps them: our own reading of Zentra's answer, never the answer itself.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::domain::{
    BankAccountDisplay, CardDisplay, Charge, ChargeStatus, Currency, Display, Failure, FailureCode,
    Initiator, Money, PaymentToken, ProviderText, RedirectUrl, Refund, RefundStatus,
};

/// The version of all forms here; a reader refuses a newer one.
const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
pub(super) struct StoredCharge {
    v: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    reference: String,
    amount_minor: i64,
    currency: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_token_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    merchant_initiated: Option<bool>,
    status: String,
    provider_status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    create_time: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredRefund {
    v: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_reference: Option<String>,
    charge_reference: String,
    amount_minor: i64,
    currency: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    status: String,
    provider_status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    create_time: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredToken {
    v: u8,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    display: Option<StoredDisplay>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    create_time: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum StoredDisplay {
    Card { brand: Option<String>, last4: Option<String>, month: Option<u8>, year: Option<u16> },
    BankAccount { bank_code: Option<String>, last4: Option<String> },
}

/// Writes an outcome.
pub(super) fn write<T>(value: &T) -> Bytes
where
    T: Storable,
{
    // Plain data: writing it into memory cannot fail.
    serde_json::to_vec(&value.stored()).unwrap_or_default().into()
}

/// Reads an outcome; none where a newer release wrote it.
pub(super) fn read<T: Storable>(bytes: &[u8]) -> Option<T> {
    T::read(serde_json::from_slice(bytes).ok()?)
}

/// A value with a stored form.
pub(super) trait Storable: Sized {
    type Form: Serialize + DeserializeOwned;
    fn stored(&self) -> Self::Form;
    fn read(form: Self::Form) -> Option<Self>;
}

impl Storable for Charge {
    type Form = StoredCharge;

    fn stored(&self) -> StoredCharge {
        StoredCharge {
            v: VERSION,
            id: text(&self.id),
            reference: self.reference.to_string(),
            amount_minor: self.amount.amount_minor(),
            currency: self.amount.currency().code().to_owned(),
            customer_id: text(&self.customer_id),
            payment_token_id: text(&self.payment_token_id),
            merchant_initiated: self.initiator.map(|it| it == Initiator::Merchant),
            status: charge_status(self.status).to_owned(),
            provider_status: self.provider_status.to_string(),
            redirect_url: self.next_action.as_ref().map(|url| url.as_str().to_owned()),
            failure: self.failure.map(|failure| failure.code.as_str().to_owned()),
            create_time: self.create_time.map(|time| time.to_string()),
        }
    }

    fn read(form: StoredCharge) -> Option<Self> {
        let status = CHARGE_STATUSES.iter().find(|(_, word)| *word == form.status)?.0;
        (form.v == VERSION).then_some(())?;
        Some(Self {
            id: provider(form.id),
            reference: ProviderText::new(&form.reference),
            amount: money(form.amount_minor, &form.currency)?,
            customer_id: provider(form.customer_id),
            payment_token_id: provider(form.payment_token_id),
            initiator: form
                .merchant_initiated
                .map(|it| if it { Initiator::Merchant } else { Initiator::Customer }),
            status,
            provider_status: ProviderText::new(&form.provider_status),
            next_action: form.redirect_url.and_then(|url| RedirectUrl::new(&url)),
            failure: form.failure.as_deref().map(failure),
            create_time: form.create_time.and_then(|time| time.parse().ok()),
        })
    }
}

impl Storable for Refund {
    type Form = StoredRefund;

    fn stored(&self) -> StoredRefund {
        StoredRefund {
            v: VERSION,
            id: text(&self.id),
            reference: self.reference.to_string(),
            provider_reference: text(&self.provider_reference),
            charge_reference: self.charge_reference.to_string(),
            amount_minor: self.amount.amount_minor(),
            currency: self.amount.currency().code().to_owned(),
            reason: text(&self.reason),
            status: refund_status(self.status).to_owned(),
            provider_status: self.provider_status.to_string(),
            failure: self.failure.map(|failure| failure.code.as_str().to_owned()),
            create_time: self.create_time.map(|time| time.to_string()),
        }
    }

    fn read(form: StoredRefund) -> Option<Self> {
        let status = REFUND_STATUSES.iter().find(|(_, word)| *word == form.status)?.0;
        (form.v == VERSION).then_some(())?;
        Some(Self {
            id: provider(form.id),
            reference: ProviderText::new(&form.reference),
            provider_reference: provider(form.provider_reference),
            charge_reference: ProviderText::new(&form.charge_reference),
            amount: money(form.amount_minor, &form.currency)?,
            reason: provider(form.reason),
            status,
            provider_status: ProviderText::new(&form.provider_status),
            failure: form.failure.as_deref().map(failure),
            create_time: form.create_time.and_then(|time| time.parse().ok()),
        })
    }
}

impl Storable for PaymentToken {
    type Form = StoredToken;

    fn stored(&self) -> StoredToken {
        let display = self.display.as_ref().map(|display| match display {
            Display::Card(card) => StoredDisplay::Card {
                brand: text(&card.brand),
                last4: text(&card.last4),
                month: card.expiry_month,
                year: card.expiry_year,
            },
            Display::BankAccount(account) => StoredDisplay::BankAccount {
                bank_code: text(&account.bank_code),
                last4: text(&account.last4),
            },
        });
        StoredToken {
            v: VERSION,
            id: self.id.to_string(),
            customer_id: text(&self.customer_id),
            display,
            provider_status: text(&self.provider_status),
            create_time: self.create_time.map(|time| time.to_string()),
        }
    }

    fn read(form: StoredToken) -> Option<Self> {
        (form.v == VERSION).then_some(())?;
        let display = form.display.map(|display| match display {
            StoredDisplay::Card { brand, last4, month, year } => Display::Card(CardDisplay {
                brand: provider(brand),
                last4: provider(last4),
                expiry_month: month,
                expiry_year: year,
            }),
            StoredDisplay::BankAccount { bank_code, last4 } => {
                Display::BankAccount(BankAccountDisplay {
                    bank_code: provider(bank_code),
                    last4: provider(last4),
                })
            }
        });
        Some(Self {
            id: ProviderText::new(&form.id),
            customer_id: provider(form.customer_id),
            display,
            provider_status: provider(form.provider_status),
            create_time: form.create_time.and_then(|time| time.parse().ok()),
        })
    }
}

const CHARGE_STATUSES: [(ChargeStatus, &str); 10] = [
    (ChargeStatus::Pending, "pending"),
    (ChargeStatus::RequiresAction, "requires_action"),
    (ChargeStatus::Succeeded, "succeeded"),
    (ChargeStatus::Failed, "failed"),
    (ChargeStatus::Cancelled, "cancelled"),
    (ChargeStatus::PartiallyRefunded, "partially_refunded"),
    (ChargeStatus::Refunded, "refunded"),
    (ChargeStatus::Disputed, "disputed"),
    (ChargeStatus::Reversed, "reversed"),
    (ChargeStatus::Unrecognized, "unrecognized"),
];

const REFUND_STATUSES: [(RefundStatus, &str); 4] = [
    (RefundStatus::Pending, "pending"),
    (RefundStatus::Succeeded, "succeeded"),
    (RefundStatus::Failed, "failed"),
    (RefundStatus::Unrecognized, "unrecognized"),
];

fn charge_status(status: ChargeStatus) -> &'static str {
    word(&CHARGE_STATUSES, status)
}

fn refund_status(status: RefundStatus) -> &'static str {
    word(&REFUND_STATUSES, status)
}

/// Each table holds every status; a test says so.
fn word<T: Copy + PartialEq>(words: &[(T, &'static str)], status: T) -> &'static str {
    words.iter().find(|(it, _)| *it == status).map_or("unrecognized", |(_, word)| word)
}

fn failure(word: &str) -> Failure {
    const CODES: [FailureCode; 6] = [
        FailureCode::CardDeclined,
        FailureCode::InsufficientFunds,
        FailureCode::ExpiredCard,
        FailureCode::AuthenticationFailed,
        FailureCode::Cancelled,
        FailureCode::Expired,
    ];
    let code = CODES.into_iter().find(|code| code.as_str() == word);
    Failure { code: code.unwrap_or(FailureCode::Other) }
}

fn money(amount_minor: i64, currency: &str) -> Option<Money> {
    Money::new(amount_minor, Currency::new(currency).ok()?).ok()
}

fn text(text: &Option<ProviderText>) -> Option<String> {
    text.as_ref().map(ToString::to_string)
}

fn provider(text: Option<String>) -> Option<ProviderText> {
    text.map(|text| ProviderText::new(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charge(status: ChargeStatus) -> Charge {
        Charge {
            id: Some(ProviderText::new("chg_1")),
            reference: ProviderText::new("order-1"),
            amount: money(5, "NGN").unwrap(),
            customer_id: Some(ProviderText::new("cus_1")),
            payment_token_id: None,
            initiator: Some(Initiator::Merchant),
            status,
            provider_status: ProviderText::new("word"),
            next_action: RedirectUrl::new("https://pay.example/x"),
            failure: Some(Failure { code: FailureCode::ExpiredCard }),
            create_time: "2026-11-22T10:00:00.123Z".parse().ok(),
        }
    }

    #[test]
    fn every_charge_reads_back_as_it_was() {
        for (status, _) in CHARGE_STATUSES {
            let charge = charge(status);
            assert_eq!(read::<Charge>(&write(&charge)), Some(charge));
        }
    }

    #[test]
    fn every_refund_reads_back_as_it_was() {
        for (status, _) in REFUND_STATUSES {
            let refund = Refund {
                id: None,
                reference: ProviderText::new("r-1"),
                provider_reference: Some(ProviderText::new("zr-1")),
                charge_reference: ProviderText::new("order-1"),
                amount: money(5, "NGN").unwrap(),
                reason: Some(ProviderText::new("why")),
                status,
                provider_status: ProviderText::new("word"),
                failure: None,
                create_time: None,
            };
            assert_eq!(read::<Refund>(&write(&refund)), Some(refund));
        }
    }

    #[test]
    fn tokens_read_back_as_they_were_and_a_newer_form_is_refused() {
        let token = PaymentToken {
            id: ProviderText::new("tok_1"),
            customer_id: None,
            display: Some(Display::Card(CardDisplay {
                brand: Some(ProviderText::new("visa")),
                last4: Some(ProviderText::new("4242")),
                expiry_month: Some(12),
                expiry_year: Some(2030),
            })),
            provider_status: None,
            create_time: None,
        };
        let bytes = write(&token);
        assert_eq!(read::<PaymentToken>(&bytes), Some(token));
        let newer = String::from_utf8(bytes.to_vec()).unwrap().replace("\"v\":1", "\"v\":2");
        assert_eq!(read::<PaymentToken>(newer.as_bytes()), None);
    }
}
