//! What the fuzzers know a card number by.

/// A judge of its own, which shares nothing with what it judges: 16 digits of Visa or Mastercard,
/// with a dash, a space or nothing between each two, no digit beside them. Where a text has a letter
/// from `a` to `f` in what may be a UUID it has no opinion.
pub(crate) fn is_card_number_in(text: &str) -> bool {
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
