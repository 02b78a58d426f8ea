//! Any bytes as an answer of Zentra's, for the fuzzers.

use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::Timestamp;

use super::classify::classify;
use super::routes::Route;
use super::{paging, wire};
use crate::domain::card_number_judge::is_card_number_in;
use crate::domain::{Charge, Display, ListPage, PaymentToken, ProviderText, Reference, Refund};
use crate::error::ProviderNote;

const STATUSES: [u16; 12] = [200, 201, 204, 400, 401, 402, 404, 409, 422, 429, 500, 503];

/// The body of an answer, behind a byte for its status and one for its route, and a line for the
/// two headers that are read.
///
/// # Panics
/// Where what callers or operators get to see of it holds a card number.
pub fn answer(bytes: &[u8]) {
    let [status, route, rest @ ..] = bytes else { return };
    let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { return };
    let (line, body) = (&rest[..end], &rest[end + 1..]);
    let status = STATUSES[usize::from(*status) % STATUSES.len()];
    let Ok(status) = StatusCode::from_u16(status) else { return };
    let Ok(reference) = Reference::new("order-1") else { return };
    let routes = [
        Route::CreateCharge,
        Route::GetCharge(&reference),
        Route::CreateRefund,
        Route::TokenizeCard,
        Route::ListCharges(ListPage { number: 1, size: 20 }),
    ];
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(line) {
        headers.insert("x-request-id", value.clone());
        headers.insert("retry-after", value);
    }
    let route = routes[usize::from(*route) % routes.len()];
    let seen = match classify(route, status, &headers, body, Timestamp::UNIX_EPOCH) {
        Err(trouble) => vec![trouble.detail.into_owned(), note(&trouble.provider)],
        Ok(opened) => {
            let page = ListPage { number: 1, size: 20 };
            let (data, beside) = (&opened.data, opened.pagination.as_ref());
            let mut seen = vec![note(&opened.note)];
            seen.extend(wire::charge(data).ok().map(charge).unwrap_or_default());
            seen.extend(wire::refund(data).ok().map(refund).unwrap_or_default());
            seen.extend(wire::token(data).ok().map(token).unwrap_or_default());
            let charges = paging::read(data, beside, page, wire::charge);
            let charges = charges.ok().map(|page| page.items).unwrap_or_default();
            seen.extend(charges.into_iter().flat_map(charge));
            seen
        }
    };
    for text in seen {
        assert!(!is_card_number_in(&text), "a card number gets through: {text}");
    }
}

fn note(note: &ProviderNote) -> String {
    note.request_id.as_ref().map_or_else(String::new, ToString::to_string)
}

fn shown<const N: usize>(texts: [Option<ProviderText>; N]) -> Vec<String> {
    texts.into_iter().flatten().map(|text| text.to_string()).collect()
}

fn charge(charge: Charge) -> Vec<String> {
    let Charge { id, reference, customer_id, payment_token_id, provider_status, .. } = charge;
    let texts = [id, Some(reference), customer_id, payment_token_id, Some(provider_status)];
    let mut seen = shown(texts);
    seen.extend(charge.next_action.map(|url| url.as_str().to_owned()));
    seen
}

fn refund(refund: Refund) -> Vec<String> {
    let Refund { id, reference, charge_reference, reason, provider_status, .. } = refund;
    shown([id, Some(reference), Some(charge_reference), reason, Some(provider_status)])
}

fn token(token: PaymentToken) -> Vec<String> {
    let display = match token.display {
        Some(Display::Card(card)) => [card.brand, card.last4],
        Some(Display::BankAccount(account)) => [account.bank_code, account.last4],
        None => [None, None],
    };
    let [one, other] = display;
    shown([Some(token.id), token.customer_id, token.provider_status, one, other])
}
