//! Finds card numbers that hide in texts which may be stored or logged.

/// The shortest and longest card number, in digits.
const LENGTHS: std::ops::RangeInclusive<usize> = 13..=19;

/// True where the text holds something that looks like a card number: 13 to 19 digits, single
/// separators allowed, with a known issuer's prefix and a valid check digit.
///
/// Groups of digits are joined over single separators (any character but letters and digits), and
/// every run of whole groups is looked at, so that `order-2026-4111 1111 1111 1111` is found.
/// Letters end a run. Times in milliseconds, microseconds or nanoseconds begin with 1, which is
/// no issuer's prefix, and pass. In a UUID a group that holds a letter is no group of digits: by
/// the digits beside its letters, one random UUID in 1,400 would look like a card number; by whole
/// groups, one in 25,000 does.
#[must_use]
pub fn holds_card_number(text: &str) -> bool {
    !has_too_few_digits(text) && some_run_holds_card_number(text)
}

/// True where it is plain at once that a text has fewer digits than any card number: most are ids
/// and words in ASCII.
fn has_too_few_digits(text: &str) -> bool {
    let digits = || text.bytes().filter(u8::is_ascii_digit).count();
    // Beyond ASCII there are digits of other scripts.
    text.is_ascii() && digits() < *LENGTHS.start()
}

fn some_run_holds_card_number(text: &str) -> bool {
    let mut digits: Vec<u8> = Vec::new();
    // Where each group of the present run begins in `digits`.
    let mut groups: Vec<usize> = Vec::new();
    let mut previous = Kind::Letter;
    let mut words = UuidWords::of(text);
    for (at, character) in text.char_indices() {
        let kind = if words.hold(at) { Kind::Letter } else { Kind::of(character) };
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

/// The groups of a text's UUIDs that hold letters.
struct UuidWords<'a> {
    bytes: &'a [u8],
    /// Where the UUID begins that ends last of those that began so far.
    uuid: Option<usize>,
}

impl<'a> UuidWords<'a> {
    fn of(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), uuid: None }
    }

    /// True where the byte at this place stands in one. Places come in their order.
    fn hold(&mut self, at: usize) -> bool {
        if self.uuid.is_none_or(|start| start + UUID_LENGTH <= at) {
            self.uuid = self.is_start(at).then_some(at);
        }
        let Some(start) = self.uuid else { return false };
        let group = UUID_GROUPS.iter().find(|group| group.contains(&(at - start)));
        group.is_some_and(|group| {
            let bytes = &self.bytes[start + group.start..start + group.end];
            bytes.iter().any(u8::is_ascii_alphabetic)
        })
    }

    /// True where a UUID begins at this place, and stands alone.
    fn is_start(&self, at: usize) -> bool {
        let alone = |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_alphanumeric());
        let before = at.checked_sub(1).and_then(|before| self.bytes.get(before));
        let uuid = self.bytes.get(at..at + UUID_LENGTH);
        alone(before) && uuid.is_some_and(is_uuid) && alone(self.bytes.get(at + UUID_LENGTH))
    }
}

/// The length of a UUID in its usual form, in bytes, and where its groups are.
const UUID_LENGTH: usize = 36;
const UUID_GROUPS: [std::ops::Range<usize>; 5] = [0..8, 9..13, 14..18, 19..23, 24..36];

/// RFC 9562: five groups of hexadecimal digits, with its version and variant.
fn is_uuid(bytes: &[u8]) -> bool {
    bytes.iter().enumerate().all(|(index, byte)| match index {
        8 | 13 | 18 | 23 => *byte == b'-',
        14 => (b'1'..=b'8').contains(byte),
        19 => matches!(byte.to_ascii_lowercase(), b'8' | b'9' | b'a' | b'b'),
        _ => byte.is_ascii_hexdigit(),
    })
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

/// The value of a digit in ASCII, in another script, or raised, lowered, circled and the like.
fn decimal_digit(character: char) -> Option<u8> {
    // The zero of every script's decimal digits (category Nd of Unicode 17), ASCII first.
    const ZEROES: [u32; 77] = [
        0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66,
        0xde6, 0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90,
        0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0,
        0xff10, 0x104a0, 0x10d30, 0x10d40, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450,
        0x114d0, 0x11650, 0x116c0, 0x116d0, 0x116da, 0x11730, 0x118e0, 0x11950, 0x11bf0, 0x11c50,
        0x11d50, 0x11da0, 0x11de0, 0x11f50, 0x16130, 0x16a60, 0x16ac0, 0x16b50, 0x16d70, 0x1ccf0,
        0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e4f0, 0x1e5f1, 0x1e950,
        0x1fbf0,
    ];
    // Other characters that are digits: the first of a run, its value, and the run's length.
    const OTHERS: [(u32, u8, u32); 21] = [
        (0xb2, 2, 2),
        (0xb9, 1, 1),
        (0x1369, 1, 9),
        (0x19da, 1, 1),
        (0x2070, 0, 1),
        (0x2074, 4, 6),
        (0x2080, 0, 10),
        (0x2460, 1, 9),
        (0x2474, 1, 9),
        (0x2488, 1, 9),
        (0x24ea, 0, 1),
        (0x24f5, 1, 9),
        (0x24ff, 0, 1),
        (0x2776, 1, 9),
        (0x2780, 1, 9),
        (0x278a, 1, 9),
        (0x10a40, 1, 4),
        (0x10e60, 1, 9),
        (0x11052, 1, 9),
        (0x1f100, 0, 1),
        (0x1f101, 0, 10),
    ];
    if character.is_ascii() {
        return character.to_digit(10).and_then(|digit| u8::try_from(digit).ok());
    }
    let within = |first: u32, length: u32| {
        let place = u32::from(character).checked_sub(first)?;
        u8::try_from(place).ok().filter(|_| place < length)
    };
    let of_script = ZEROES.iter().find_map(|&zero| within(zero, 10));
    of_script.or_else(|| {
        OTHERS.iter().find_map(|&(first, value, length)| Some(value + within(first, length)?))
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
            "4222222222222",
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
            "\u{11f54}\u{11f51}11111111111111",
            "⁴¹¹¹¹¹¹¹¹¹¹¹¹¹¹¹",
            "④①①①₁₁₁₁①①①①①①①①",
            // In a UUID, all of digits or not.
            "41111111-1111-1111-8000-000000000000",
            "x-41111111-1111-1111-8abc-0123456789ab",
            "a1111111-a111-4aaa-8100-111111111115",
            "4111-11111111-1111-4aaa-8aaa-0123456789ab",
            "a1111111-a111-4111-a111-411111111111-1-1-1-1",
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

    /// Texts of digits and of what may stand between, ASCII or not, of about a card number's length.
    fn near_card_numbers() -> impl Strategy<Value = String> {
        let digits = prop_oneof![
            3 => "[0-9]{1,6}",
            1 => "4[0-9]{0,4}",
            1 => "[٠-٩０-９④①₁⁴]{1,3}",
        ];
        let between = prop_oneof![4 => "", 3 => "[-_. :/]{1,2}", 1 => "[a-zä]"];
        (proptest::collection::vec((digits, between), 0..8), proptest::option::of(visa())).prop_map(
            |(pieces, number)| {
                let text = pieces.into_iter().map(|(digits, between)| digits + &between);
                text.chain(number).collect()
            },
        )
    }

    proptest! {
        #[test]
        fn texts_with_few_digits_are_passed_over_and_no_others(text in near_card_numbers()) {
            let found = some_run_holds_card_number(&text);
            prop_assert_eq!(holds_card_number(&text), found, "{}", text);
        }

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
        fn digits_beside_the_letters_of_a_uuid_are_none_of_a_card_number(
            uuid in "[0-9]{4}[a-f][0-9]{3}-[0-9]{4}-[1-8][0-9]{3}-[ab][0-9]{3}-[0-9]{5}f[0-9]{6}",
            before in "[a-z]{0,5}-",
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
