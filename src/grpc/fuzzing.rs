//! Any bytes as a request, for the fuzzers.

use jiff::Timestamp;
use prost::Message;

use super::{page_token, proto, requests};
use crate::domain::{
    Actor, ChargeCommand, ListPage, Reason, RefundCommand, TokenizeCommand, Violations,
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
    Texts::of(identifiers).and(command.actor.as_ref().map(Actor::as_str))
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

/// A judge of its own, which shares nothing with what it judges: 16 digits of Visa or Mastercard,
/// with a dash, a space or nothing between each two, no digit beside them. Where a text has a letter
/// from `a` to `f` in what may be a UUID it has no opinion.
fn is_card_number_in(text: &str) -> bool {
    const DIGITS: usize = 16;
    let text = text.as_bytes();
    let may_hold_uuid = text.iter().filter(|it| **it == b'-').count() >= 4
        && text.iter().any(|it| matches!(it.to_ascii_lowercase(), b'a'..=b'f'));
    let is_digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
    let begins = |&at: &usize| {
        let follows = at.checked_sub(1).is_some_and(is_digit);
        is_digit(at) && !follows
    };
    !may_hold_uuid
        && (0..text.len()).filter(begins).any(|start| {
            let (mut digits, mut at) = (Vec::new(), start);
            while digits.len() < DIGITS && is_digit(at) {
                digits.push(u32::from(text[at] - b'0'));
                let is_apart = matches!(text.get(at + 1), Some(b'-' | b' ')) && is_digit(at + 2);
                at += if is_apart && digits.len() < DIGITS { 2 } else { 1 };
            }
            let by_scheme = matches!(digits.as_slice(), [4, ..] | [5, 1..=5, ..]);
            let sum: u32 = digits
                .chunks(2)
                .map(|pair| {
                    let doubled = pair[0] * 2;
                    doubled / 10 + doubled % 10 + pair.get(1).copied().unwrap_or(0)
                })
                .sum();
            digits.len() == DIGITS && !is_digit(at) && by_scheme && sum.is_multiple_of(10)
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::holds_card_number;

    #[test]
    fn the_judge_knows_a_card_number() {
        for text in [
            "4111111111111111",
            "x4111 1111-1111 1111y",
            "12-5555555555554444",
            "1 4-1-1-1 1111 1111 1111",
        ] {
            assert!(is_card_number_in(text) && holds_card_number(text), "{text}");
        }
        for text in
            ["4111111111111112", "41111111111111111", "411111111111111", "4111  111111111111"]
        {
            assert!(!is_card_number_in(text), "{text}");
        }
    }
}
