//! For tests: whether a secret is anywhere in this process's own memory.

use std::cell::RefCell;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;

use zeroize::Zeroizing;

/// What a secret is kept under here, so that the search does not find itself.
const MASK: u8 = 0xa5;
/// Memory is read in pieces of this size.
const PIECE_BYTES: usize = 1024 * 1024;
/// So much of a secret is enough to be found, and too much to be there by chance.
const PART_BYTES: usize = 16;

/// A secret that can be looked for and made, and is not in memory itself.
pub(crate) struct Masked {
    secret: Vec<u8>,
    /// What the search needs is there before the secret is, and so not where it was.
    piece: RefCell<Zeroizing<Vec<u8>>>,
    maps: RefCell<String>,
}

impl Masked {
    /// A text of this length that is nowhere else: letters and digits drawn by chance.
    pub(crate) fn new(length: usize) -> Self {
        const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789";
        let letter = |_| LETTERS[rand::random_range(..LETTERS.len())] ^ MASK;
        Self::with_mask((0..length).map(letter).collect())
    }

    /// One that stands in a text, which is the caller's to wipe.
    pub(crate) fn of(text: &[u8]) -> Self {
        Self::with_mask(text.iter().map(|byte| byte ^ MASK).collect())
    }

    fn with_mask(secret: Vec<u8>) -> Self {
        let piece = RefCell::new(Zeroizing::new(vec![0; PIECE_BYTES]));
        let maps = RefCell::new(String::with_capacity(PIECE_BYTES));
        Self { secret, piece, maps }
    }

    /// The secret, wiped when it is dropped.
    pub(crate) fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(self.secret.len()));
        text.extend(self.secret.iter().map(|byte| char::from(byte ^ MASK)));
        text
    }

    /// Whether this process's memory holds a part of it, in whatever is mapped and can be written:
    /// the heap, given back or not, and all stacks. What is given back loses its first bytes.
    pub(crate) fn is_in_memory(&self) -> bool {
        let (mut piece, mut maps) = (self.piece.borrow_mut(), self.maps.borrow_mut());
        maps.clear();
        let memory = File::open("/proc/self/mem").unwrap();
        File::open("/proc/self/maps").unwrap().read_to_string(&mut maps).unwrap();
        let is_there = maps.lines().filter_map(writable).any(|(start, end)| {
            // Pieces overlap, so that no part is cut in two.
            (start..end).step_by(PIECE_BYTES - PART_BYTES).any(|at| {
                let length = (end - at).min(PIECE_BYTES);
                let piece = &mut piece[..length];
                // Guard pages cannot be read.
                memory.read_exact_at(piece, at as u64).is_ok() && self.is_in(piece)
            })
        });
        piece.fill(0);
        is_there
    }

    fn is_in(&self, piece: &[u8]) -> bool {
        // Nothing is allocated here: it might be where the secret was.
        let parts = self.secret.chunks_exact(PART_BYTES);
        let mut begins = [false; 256];
        for part in parts.clone() {
            begins[usize::from(part[0] ^ MASK)] = true;
        }
        piece.windows(PART_BYTES).any(|found| {
            let is_part = |part: &[u8]| found.iter().zip(part).all(|(a, b)| a ^ b == MASK);
            begins[usize::from(found[0])] && parts.clone().any(is_part)
        })
    }
}

/// The addresses of a line of `/proc/self/maps` that can be read and written.
fn writable(line: &str) -> Option<(usize, usize)> {
    let mut fields = line.split_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    fields.next()?.starts_with("rw").then_some((address(start)?, address(end)?))
}

#[test]
fn what_is_held_is_found_and_what_was_wiped_is_not() {
    let secret = Masked::new(512);
    assert!(!secret.is_in_memory());
    let held = secret.text();
    assert!(secret.is_in_memory());
    let copy = held.to_string();
    drop(held);
    assert!(secret.is_in_memory(), "a copy is left");
    drop(copy);
    assert!(secret.is_in_memory(), "and was given back, but not wiped");
}
