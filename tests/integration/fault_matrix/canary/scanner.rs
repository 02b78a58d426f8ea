//! Looks for secrets in whatever form they may have slipped out in.

use std::collections::{BTreeMap, HashSet};

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// What is looked through, by where it was found.
pub(super) type Sinks = BTreeMap<&'static str, Vec<u8>>;

/// The lengths of SHA-1 and SHA-256 in hex and in base64.
const HASH_LENGTHS: [usize; 4] = [40, 64, 27, 43];

/// Secrets in all their forms.
pub(super) struct Scanner {
    forms: Vec<String>,
    finder: AhoCorasick,
    hashes: HashSet<String>,
}

impl Scanner {
    /// Looks for `beginnings`, which all secrets of a kind share, and for the hashes of `secrets`,
    /// which share nothing.
    pub(super) fn new(
        beginnings: impl IntoIterator<Item = String>,
        secrets: impl IntoIterator<Item = String>,
    ) -> Self {
        let forms: Vec<String> = beginnings.into_iter().flat_map(|text| forms(&text)).collect();
        let finder = AhoCorasick::builder().ascii_case_insensitive(true).build(&forms).unwrap();
        let hashes = secrets.into_iter().flat_map(|secret| hashes(&secret)).collect();
        Self { forms, finder, hashes }
    }

    /// What stands somewhere, and where.
    pub(super) fn hits(&self, sinks: &Sinks) -> Vec<(&'static str, String)> {
        let mut hits = Vec::new();
        for (sink, text) in sinks {
            let found = self.finder.find_iter(text);
            hits.extend(found.map(|it| (*sink, self.forms[it.pattern().as_usize()].clone())));
            hits.extend(self.hashes_in(text).map(|hash| (*sink, hash)));
        }
        hits
    }

    /// Hashes stand within runs of the characters that hex and base64 are made of.
    fn hashes_in<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = String> + 'a {
        let in_run = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
        let runs = text.split(move |byte| !in_run(byte));
        runs.flat_map(move |run| {
            HASH_LENGTHS.into_iter().flat_map(move |length| {
                run.windows(length).filter_map(|window| {
                    let text = std::str::from_utf8(window).ok()?;
                    let found = self.hashes.contains(text)
                        || self.hashes.contains(&text.to_ascii_lowercase());
                    found.then(|| text.to_owned())
                })
            })
        })
    }
}

/// Where a code of three digits stands as the whole of a value: in quotes, in brackets, as a parameter, or
/// between the spaces that part the store's values. As a part of other numbers it stands anywhere,
/// and counts and times may be equal to it.
pub(super) fn holding_code(sinks: &Sinks, is_code: impl Fn(&[u8]) -> bool) -> Vec<&'static str> {
    let ends =
        |byte: &u8, sink: &str| b"\"'\\()<>=&".contains(byte) || (sink == "store" && *byte == b' ');
    let holds = |sink: &str, text: &[u8]| {
        let mut windows = text.windows(5);
        windows.any(|it| {
            let [first, within @ .., last] = it else { return false };
            ends(first, sink) && ends(last, sink) && is_code(within)
        })
    };
    sinks.iter().filter(|(sink, text)| holds(sink, text)).map(|(sink, _)| *sink).collect()
}

/// A text as it is, and a number in groups too.
fn spellings(text: &str) -> Vec<String> {
    let mut spellings = vec![text.to_owned()];
    let is_number = text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_digit());
    for separator in [" ", "-"].into_iter().filter(|_| is_number) {
        let at = (0..text.len()).step_by(4);
        let groups: Vec<&str> = at.map(|at| &text[at..(at + 4).min(text.len())]).collect();
        spellings.push(groups.join(separator));
    }
    spellings
}

/// In groups, in URLs, in base64 at each of its three places, in hex.
fn forms(text: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for spelling in spellings(text) {
        forms.extend(in_base64(spelling.as_bytes()));
        forms.push(hex::encode(&spelling));
        if spelling.contains(' ') {
            forms.extend(["%20", "+"].map(|space| spelling.replace(' ', space)));
        }
        forms.push(spelling);
    }
    forms
}

fn hashes(secret: &str) -> Vec<String> {
    let mut hashes = Vec::new();
    for spelling in spellings(secret) {
        for hash in [Sha256::digest(&spelling).to_vec(), Sha1::digest(&spelling).to_vec()] {
            hashes.push(hex::encode(&hash));
            hashes.push(STANDARD_NO_PAD.encode(&hash));
            hashes.push(URL_SAFE_NO_PAD.encode(&hash));
        }
    }
    hashes
}

/// What a text looks like inside a longer one in base64: that depends on how many bytes stand
/// before it.
fn in_base64(text: &[u8]) -> [String; 3] {
    [(0, 0), (1, 2), (2, 3)].map(|(before, skipped)| {
        let padded = [&vec![0; before][..], text].concat();
        let whole = padded.len() * 8 / 6;
        STANDARD_NO_PAD.encode(&padded)[skipped..whole].to_owned()
    })
}

#[test]
fn each_form_is_found_in_the_midst_of_other_text() {
    let (number, name) = ("4539000000001234", "Zora Q00017x Canary");
    let secrets = [number.to_owned(), name.to_owned()];
    let scanner = Scanner::new(["4539000000".to_owned(), "Zora Q".to_owned()], secrets);
    let base64 = |text: &str| STANDARD_NO_PAD.encode(text);
    for text in [
        "x 4539000000001234 y".to_owned(),
        "x 4539 0000 0000 1234 y".to_owned(),
        "x 4539-0000-0000-1234 y".to_owned(),
        "?n=4539%200000%200000%201234".to_owned(),
        "?n=Zora+Q00017x+Canary".to_owned(),
        base64(&format!("{{\"number\":\"{number}\"}}")),
        base64(&format!("{{\"numbers\":\"{number}\"}}")),
        base64(&format!("{{\"a_number\":\"{number}\"}}")),
        hex::encode(format!("<{name}>")).to_uppercase(),
        format!("id{}x", hex::encode(Sha256::digest(number))),
        hex::encode(Sha256::digest(name)).to_uppercase(),
        hex::encode(Sha1::digest("4539 0000 0000 1234")),
        URL_SAFE_NO_PAD.encode(Sha256::digest(number)),
        STANDARD_NO_PAD.encode(Sha1::digest(number)),
    ] {
        let sinks = Sinks::from([("sink", text.clone().into_bytes())]);
        assert!(!scanner.hits(&sinks).is_empty(), "{text}");
    }
    let clean = b"4538000000001235 Zara Q00018x 45390 00000".to_vec();
    assert_eq!(scanner.hits(&Sinks::from([("sink", clean)])), []);
}

#[test]
fn a_code_is_found_where_it_is_the_whole_of_one() {
    let held = |sink, text: &str| {
        let sinks = Sinks::from([(sink, text.as_bytes().to_vec())]);
        holding_code(&sinks, |code| code == b"739").len()
    };
    for text in ["{\"cvv\":\"739\"}", "\\\"739\\\"", "Str(739)", "?cvv=739&n=1"] {
        assert_eq!(held("stderr", text), 1, "{text}");
    }
    assert_eq!(held("store", "planted 739 "), 1);
    for text in ["spans: 739", "{\"n\":739}", "\"1739\"", "\"7390\"", "count 739 here"] {
        assert_eq!(held("stderr", text), 0, "{text}");
    }
}
