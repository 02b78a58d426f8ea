//! Any bytes as a request, for the fuzzers.

use jiff::Timestamp;
use prost::Message;
use secrecy::ExposeSecret;

use super::{page_token, proto, requests};
use crate::domain::card_number_judge::is_card_number_in;
use crate::domain::{
    Actor, ChargeCommand, ListPage, PaymentMethod, Reason, RefundCommand, TokenizeCommand,
    Violations,
};
use crate::error::Error;

/// The bytes of a message; the first byte says of which RPC.
///
/// # Panics
/// Where an identifier is let through that must not be, or a text that hides a card number, or
/// where what is said of a fault repeats one, or where a page token that was given out is not
/// taken back.
pub fn message(bytes: &[u8]) {
    let Some((rpc, bytes)) = bytes.split_first() else { return };
    let read = match rpc % 9 {
        0 => read(bytes, |it| {
            requests::tokenize(it, Timestamp::UNIX_EPOCH).map(|it| of_tokenize(&it))
        }),
        1 => read(bytes, |it| requests::charge(&it).map(|it| of_charge(&it))),
        2 => read(bytes, |it| requests::renew(&it).map(|it| of_charge(&it))),
        3 => read(bytes, |it| requests::refund(&it).map(|it| of_refund(&it))),
        4 => read(bytes, |it| requests::verify(&it).map(|it| Texts::of([it.reference.as_str()]))),
        5 => read(bytes, |it: proto::GetChargeRequest| {
            requests::reference(&it.reference).map(|it| Texts::of([it.as_str()]))
        }),
        6 => read(bytes, |it| requests::list_charges(&it).map(comes_back)),
        7 => read(bytes, |it| {
            requests::list_tokens(&it).map(|(customer, _)| Texts::of([customer.as_str()]))
        }),
        _ => read(bytes, |it: proto::GetRefundRequest| {
            requests::reference(&it.reference).map(|it| Texts::of([it.as_str()]))
        }),
    };
    match read {
        None => {}
        Some(Ok(texts)) => texts.check(),
        Some(Err(error)) => {
            let metadata: Vec<_> = error.metadata().collect();
            let told = format!("{error} {} {metadata:?}", error.violations());
            assert!(!is_card_number_in(&told), "a fault repeats a card number");
        }
    }
}

/// Every text of a command that is stored or logged.
#[derive(Default)]
struct Texts {
    identifiers: Vec<String>,
    free: Vec<String>,
}

impl Texts {
    fn of<'a>(identifiers: impl IntoIterator<Item = &'a str>) -> Self {
        let identifiers = identifiers.into_iter().map(str::to_owned).collect();
        Self { identifiers, free: Vec::new() }
    }

    fn and(mut self, free: Option<&str>) -> Self {
        self.free.extend(free.map(str::to_owned));
        self
    }

    fn check(&self) {
        let is_path = |text: &String| text.contains(['/', '\\', '%', '?', '#', '\0']);
        assert!(!self.identifiers.iter().any(is_path), "an identifier is a path");
        let mut all = self.identifiers.iter().chain(&self.free);
        assert!(!all.any(|text| is_card_number_in(text)), "a card number is let through");
    }
}

fn of_tokenize(command: &TokenizeCommand) -> Texts {
    let identifiers = [command.idempotency_key.as_str(), command.customer_id.as_str()];
    let (name, bank_code) = match &command.payment_method {
        PaymentMethod::Card(card) => (card.holder_name(), None),
        PaymentMethod::BankAccount(account) => (account.name(), Some(account.bank_code())),
    };
    let texts = Texts::of(identifiers).and(command.actor.as_ref().map(Actor::as_str));
    texts.and(bank_code).and(name.map(ExposeSecret::expose_secret))
}

fn of_charge(command: &ChargeCommand) -> Texts {
    let identifiers = [
        command.idempotency_key.as_str(),
        command.reference.as_str(),
        command.customer_id.as_str(),
        command.payment_token_id.as_str(),
    ];
    Texts::of(identifiers).and(command.actor.as_ref().map(Actor::as_str))
}

fn of_refund(command: &RefundCommand) -> Texts {
    let identifiers = [
        command.idempotency_key.as_str(),
        command.reference.as_str(),
        command.charge_reference.as_str(),
    ];
    let texts = Texts::of(identifiers).and(command.actor.as_ref().map(Actor::as_str));
    texts.and(command.reason.as_ref().map(Reason::as_str))
}

fn read<M: Message + Default>(
    bytes: &[u8],
    to_command: impl FnOnce(M) -> Result<Texts, Error>,
) -> Option<Result<Texts, Error>> {
    M::decode(bytes).ok().map(to_command)
}

fn comes_back(page: ListPage) -> Texts {
    let token = page_token::next(requests::CHARGES, page, true);
    let mut faults = Violations::default();
    let back = page_token::read(requests::CHARGES, 0, &token, &mut faults);
    let is_next = back.is_some_and(|it| it.number == page.number + 1 && it.size == page.size);
    assert!(token.is_empty() || is_next, "a page token is not taken back");
    Texts::default()
}
