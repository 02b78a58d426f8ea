//! Files that hold secrets.

use std::io::{self, Read as _};

use secrecy::SecretString;
use zeroize::Zeroizing;

/// The largest secret file, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// Reads a secret file.
pub(super) fn read(path: &str) -> io::Result<SecretString> {
    let file = std::fs::File::open(path)?;
    let mut text = Zeroizing::new(String::with_capacity(4096));
    file.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("larger than 64 KiB"));
    }
    Ok(SecretString::from(text.as_str()))
}
