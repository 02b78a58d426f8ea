//! Finds card numbers that hide in texts which may be stored or logged.

/// The shortest and longest card number, in digits.
const LENGTHS: std::ops::RangeInclusive<usize> = 13..=19;

/// True where the text holds something that looks like a card number: 13 to 19 digits, single
/// separators allowed, with a known issuer's prefix and a valid check digit.
///
/// Groups of digits are joined over single separators (any character but letters and digits), and
/// every run of whole groups is looked at, so that `order-2026-4111 1111 1111 1111` is found.
/// Letters end a run. Times in milliseconds, microseconds or nanoseconds begin with 1, which is
/// no issuer's prefix, and pass. So do UUIDs: their groups are not those of a card number, and one
/// in 1,400 random ones would look like one.
#[must_use]
pub fn holds_card_number(text: &str) -> bool {
    let mut rest = text;
    while let Some((before, after)) = around_uuid(rest) {
        if scan(before) {
            return true;
        }
        rest = after;
    }
    scan(rest)
}

/// Splits at the first UUID that stands alone; none where there is none.
fn around_uuid(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let last_start = bytes.len().checked_sub(UUID_LENGTH)?;
    let alone = |index: Option<usize>| {
        index.and_then(|index| bytes.get(index)).is_none_or(|byte| !byte.is_ascii_alphanumeric())
    };
    let start = (0..=last_start).find(|&start| {
        is_uuid(&bytes[start..start + UUID_LENGTH])
            && alone(start.checked_sub(1))
            && alone(Some(start + UUID_LENGTH))
    })?;
    Some((text.get(..start)?, text.get(start + UUID_LENGTH..)?))
}

/// The length of a UUID in its usual form, in bytes.
const UUID_LENGTH: usize = 36;

/// RFC 9562: five groups of hexadecimal digits, with its version and variant.
fn is_uuid(bytes: &[u8]) -> bool {
    bytes.iter().enumerate().all(|(index, byte)| match index {
        8 | 13 | 18 | 23 => *byte == b'-',
        14 => (b'1'..=b'8').contains(byte),
        19 => matches!(byte.to_ascii_lowercase(), b'8' | b'9' | b'a' | b'b'),
        _ => byte.is_ascii_hexdigit(),
    })
}

fn scan(text: &str) -> bool {
    let mut digits: Vec<u8> = Vec::new();
    // Where each group of the present run begins in `digits`.
    let mut groups: Vec<usize> = Vec::new();
    let mut previous = Kind::Letter;
    for character in text.chars() {
        let kind = Kind::of(character);
        match kind {
            Kind::Digit(digit) => {
                if !matches!(previous, Kind::Digit(_)) {
                    groups.push(digits.len());
                }
                digits.push(digit);
            }
            Kind::Separator if matches!(previous, Kind::Digit(_)) => {}
            Kind::Separator | Kind::Letter => {
                if run_holds_card_number(&digits, &groups) {
                    return true;
                }
                digits.clear();
                groups.clear();
            }
        }
        previous = kind;
    }
    run_holds_card_number(&digits, &groups)
}

#[derive(Clone, Copy)]
enum Kind {
    Digit(u8),
    Separator,
    Letter,
}

impl Kind {
    fn of(character: char) -> Self {
        match decimal_digit(character) {
            Some(digit) => Self::Digit(digit),
            None if character.is_alphanumeric() => Self::Letter,
            None => Self::Separator,
        }
    }
}

/// The value of a decimal digit in ASCII or in another script that a form may let through.
fn decimal_digit(character: char) -> Option<u8> {
    // The zero of every script's decimal digits (Unicode's category Nd), ASCII first.
    const ZEROES: [u32; 66] = [
        0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66,
        0xde6, 0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90,
        0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0,
        0xff10, 0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0,
        0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0,
        0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
    ];
    if character.is_ascii() {
        return character.to_digit(10).and_then(|digit| u8::try_from(digit).ok());
    }
    ZEROES.iter().find_map(|&zero| {
        let value = u32::from(character).checked_sub(zero)?;
        u8::try_from(value).ok().filter(|&value| value < 10)
    })
}

fn run_holds_card_number(digits: &[u8], groups: &[usize]) -> bool {
    let ends = groups.iter().skip(1).copied().chain([digits.len()]);
    ends.enumerate().any(|(last, end)| {
        // Groups that end a card number here began at most 19 digits ago.
        groups[..groups.len().min(last + 1)]
            .iter()
            .rev()
            .map_while(|&start| digits.get(start..end).filter(|it| it.len() <= *LENGTHS.end()))
            .any(|candidate| {
                LENGTHS.contains(&candidate.len())
                    && has_issuer_prefix(candidate)
                    && passes_luhn(candidate)
            })
    })
}

/// The check digit of ISO/IEC 7812, over digits as numbers 0 to 9.
pub(super) fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| match (place % 2, u32::from(digit)) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Ranges of the first four digits that card schemes issue from, with the lengths they use.
///
/// Source: the schemes' published ranges (Visa, Mastercard, American Express, Discover, Diners,
/// JCB, UnionPay, Maestro, Verve, Mir, Troy, RuPay).
const ISSUERS: [(u16, u16, &[usize]); 14] = [
    (2200, 2204, &[16, 17, 18, 19]),             // Mir
    (2221, 2720, &[16]),                         // Mastercard
    (3000, 3059, &[14, 15, 16, 17, 18, 19]),     // Diners
    (3095, 3095, &[14, 15, 16, 17, 18, 19]),     // Diners
    (3400, 3499, &[15]),                         // American Express
    (3528, 3589, &[16, 17, 18, 19]),             // JCB
    (3600, 3699, &[14, 15, 16, 17, 18, 19]),     // Diners
    (3700, 3799, &[15]),                         // American Express
    (3800, 3999, &[14, 15, 16, 17, 18, 19]),     // Diners
    (4000, 4999, &[13, 16, 19]),                 // Visa
    (5000, 5099, &[13, 14, 15, 16, 17, 18, 19]), // Maestro, Verve, RuPay
    (5100, 5599, &[16]),                         // Mastercard
    (5600, 6999, &[13, 14, 15, 16, 17, 18, 19]), // Maestro, Discover, UnionPay, Verve, RuPay
    (8100, 8299, &[16, 17, 18, 19]),             // RuPay, UnionPay
];

fn has_issuer_prefix(digits: &[u8]) -> bool {
    let prefix = digits[..4].iter().fold(0, |prefix, &digit| prefix * 10 + u16::from(digit));
    ISSUERS.iter().any(|(first, last, lengths)| {
        (*first..=*last).contains(&prefix) && lengths.contains(&digits.len())
    }) || (prefix == 9792 && digits.len() == 16) // Troy
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hidden_card_numbers_are_found() {
        for text in [
            "4111111111111111",
            "order-4111111111111111",
            "x4111111111111111y",
            "4111-1111-1111-1111",
            "4111 1111 1111 1111",
            "4.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1",
            "order-2026-4111 1111 1111 1111",
            "4111_1111_1111_1111-22",
            "a 378282246310005",
            "6011111111111117",
            "5555:5555:5555:4444",
            "2223003122003222",
            "３５３０１１１３３３３０００００",
            "card ٤١١١١١١١١١١١١١١١",
            "๔๑๑๑๑๑๑๑๑๑๑๑๑๑๑๑",
            "𝟒𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏",
            "5061460410120223210",
        ] {
            assert!(holds_card_number(text), "{text}");
        }
    }

    #[test]
    fn what_only_resembles_one_passes() {
        for text in [
            "",
            "4111111111111112",
            "4111  1111  1111  1111",
            "1764000000000",
            "order-1764000000000",
            "1764000000000000",
            "1764000000000000000",
            "2026-11-22-1530-0001",
            "550e8400-e29b-41d4-a716-446655440000",
            "411111111111",
            "41111111111111111111",
            "4111a1111b1111c1111",
            "0000000000000000",
        ] {
            assert!(!holds_card_number(text), "{text}");
        }
    }

    /// A Luhn-valid Visa number from 15 digits' worth of randomness.
    fn visa() -> impl Strategy<Value = String> {
        "4[0-9]{14}".prop_map(|body| {
            (b'0'..=b'9')
                .map(|check| format!("{body}{}", char::from(check)))
                .find(|number| passes_luhn(&number.bytes().map(|it| it - b'0').collect::<Vec<_>>()))
                .unwrap_or_default()
        })
    }

    proptest! {
        #[test]
        fn every_visa_number_is_found_in_any_grouping(
            number in visa(), gaps in proptest::collection::vec(any::<bool>(), 15),
            separator in "[-_. :/]", before in "[a-z]{0,5}-{0,1}", after in "(-[a-z]{1,5}){0,1}",
        ) {
            let mut text = before;
            for (index, digit) in number.chars().enumerate() {
                text.push(digit);
                if gaps.get(index).copied().unwrap_or(false) {
                    text.push_str(&separator);
                }
            }
            text.push_str(&after);
            prop_assert!(holds_card_number(&text), "{}", text);
        }

        #[test]
        fn every_uuid_passes(
            uuid in "[0-9]{8}-[0-9]{4}-[1-8][0-9]{3}-[89][0-9]{3}-[0-9]{12}", before in "[a-z]{0,5}-",
        ) {
            let reference = format!("{before}{uuid}");
            prop_assert!(!holds_card_number(&reference));
            let hidden = format!("{uuid}-4111111111111111");
            prop_assert!(holds_card_number(&hidden));
        }

        #[test]
        fn millisecond_times_always_pass(time in 1_000_000_000_000u64..1_999_999_999_999) {
            let reference = format!("order-{time}");
            prop_assert!(!holds_card_number(&reference));
        }
    }
}
