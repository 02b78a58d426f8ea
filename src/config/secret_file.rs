//! Files that hold secrets.

use std::io::{self, Read as _};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use secrecy::SecretString;
use zeroize::Zeroizing;

/// The largest secret file, in bytes.
const MAX_BYTES: u64 = 64 * 1024;
/// How long reading one may take at the start: a mount that hangs is told, not waited for.
const READING_TIMEOUT: Duration = Duration::from_secs(5);

/// The file of a path as it may be shown. What is no path into a folder that there is may be the
/// secret itself, in the place of the name of its file.
pub(super) fn shown(path: &str) -> String {
    let folder = Path::new(path).parent().filter(|it| !it.as_os_str().is_empty());
    match folder {
        Some(folder) if folder.is_dir() && !path.contains(char::is_control) => path.to_owned(),
        _ => "the file of this name".to_owned(),
    }
}

/// Reads a secret file, within [`READING_TIMEOUT`].
pub(super) fn read(path: &str) -> io::Result<SecretString> {
    let (sender, text) = channel();
    let path = path.to_owned();
    // Left behind where it hangs; the process ends without it.
    std::thread::Builder::new().spawn(move || {
        // Nobody listens where the time was over first.
        let _ = sender.send(read_now(&path));
    })?;
    text.recv_timeout(READING_TIMEOUT).unwrap_or_else(|fault| {
        Err(match fault {
            RecvTimeoutError::Timeout => io::Error::new(
                io::ErrorKind::TimedOut,
                format!("not read within {} s", READING_TIMEOUT.as_secs()),
            ),
            RecvTimeoutError::Disconnected => io::Error::other("its reading ended abnormally"),
        })
    })
}

/// Reads a secret file, however long that takes.
pub(super) fn read_now(path: &str) -> io::Result<SecretString> {
    let file = std::fs::File::open(path)?;
    let mut text = Zeroizing::new(String::with_capacity(4096));
    file.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("larger than 64 KiB"));
    }
    Ok(SecretString::from(text.as_str()))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::memory_scan::Masked;

    #[test]
    fn what_a_file_holds_is_in_memory_as_long_as_somebody_holds_it() {
        let secret = Masked::new(512);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, secret.text().as_bytes()).unwrap();
        assert!(!secret.is_in_memory());
        let text = read_now(path.to_str().unwrap()).unwrap();
        assert_eq!(text.expose_secret().len(), 512);
        assert!(secret.is_in_memory());
        drop(text);
        assert!(!secret.is_in_memory());
    }
}
