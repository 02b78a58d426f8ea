//! The three files, as they stand on disk.

use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use zeroize::Zeroizing;

/// The largest file, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;
/// How long reading the three may take: a mount that hangs is told, not waited for.
const READING_TIMEOUT: Duration = Duration::from_secs(5);
/// Readings that hang at once, each of which holds a thread; no more are begun.
const MOST_HANGING: usize = 8;

/// Where the certificate, its key and the bundle are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The sidecar's certificate and the authorities between it and the root, as PEM.
    pub certificate: PathBuf,
    /// Its private key, as PEM.
    pub key: PathBuf,
    /// The authorities that callers' certificates come from, as PEM.
    pub client_ca: PathBuf,
}

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// The certificate.
    Certificate,
    /// The private key.
    Key,
    /// The bundle.
    ClientCa,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFault {
    /// Which file.
    pub file: FileKind,
    /// What is wrong, to stand after the file's name.
    pub text: String,
}

impl FileFault {
    pub(super) fn new(file: FileKind, text: impl Into<String>) -> Self {
        Self { file, text: text.into() }
    }
}

impl fmt::Display for FileFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = match self.file {
            FileKind::Certificate => "the certificate's file",
            FileKind::Key => "the key's file",
            FileKind::ClientCa => "the bundle of the callers' authorities",
        };
        write!(formatter, "{file} {}", self.text)
    }
}

/// What they hold.
pub(super) struct Contents {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Zeroizing<Vec<u8>>,
    pub(super) client_ca: Vec<u8>,
}

impl Contents {
    /// Tells one state of the files from another, and keeps nothing of the key.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for file in [&self.certificate, &*self.key, &self.client_ca] {
            digest.update((file.len() as u64).to_be_bytes());
            digest.update(file);
        }
        digest.finalize().into()
    }
}

/// Readings that have not ended, one clone for each.
#[derive(Debug, Default)]
pub(super) struct Readings(Arc<()>);

impl Readings {
    /// Those that nobody waits for any more, where none is waited for.
    pub(super) fn hanging(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }

    /// Begins to read a file on a thread of its own, which is left behind where it hangs.
    fn begin(&self, path: &Path) -> io::Result<Receiver<io::Result<Zeroizing<Vec<u8>>>>> {
        let (sender, bytes) = channel();
        let (path, under_way) = (path.to_owned(), self.0.clone());
        std::thread::Builder::new().spawn(move || {
            let read = read_now(&path);
            // It has ended by the time that anybody knows what it has read.
            drop(under_way);
            // Nobody listens where the time was over first.
            let _ = sender.send(read);
        })?;
        Ok(bytes)
    }
}

impl Files {
    /// Reads all three, within [`READING_TIMEOUT`].
    pub(super) fn read(&self, readings: &Readings) -> Result<Contents, Vec<FileFault>> {
        use FileKind::{Certificate, ClientCa, Key};
        let hang = readings.hanging() >= MOST_HANGING;
        let mut faults = Vec::new();
        let files =
            [(Certificate, &self.certificate), (Key, &self.key), (ClientCa, &self.client_ca)];
        let begun = files.map(|(file, path)| {
            let bytes = if hang {
                Err(io::Error::other("earlier readings hang"))
            } else {
                readings.begin(path)
            };
            (file, bytes)
        });
        let ends_at = Instant::now() + READING_TIMEOUT;
        let [certificate, key, client_ca] = begun.map(|(file, bytes)| {
            let left = ends_at.saturating_duration_since(Instant::now());
            bytes.and_then(|bytes| within(&bytes, left)).map_err(|fault| {
                // Not from where: it may be the key itself, in the place of the name of its file.
                faults.push(FileFault::new(file, format!("cannot be read: {fault}")));
            })
        });
        match (certificate, key, client_ca) {
            (Ok(certificate), Ok(key), Ok(mut client_ca)) => Ok(Contents {
                certificate: certificate.to_vec(),
                key,
                client_ca: std::mem::take(&mut *client_ca),
            }),
            _ => Err(faults),
        }
    }
}

fn within<T>(bytes: &Receiver<io::Result<T>>, left: Duration) -> io::Result<T> {
    bytes.recv_timeout(left).unwrap_or_else(|fault| {
        Err(match fault {
            RecvTimeoutError::Timeout => io::Error::new(
                io::ErrorKind::TimedOut,
                format!("not read within {} s", READING_TIMEOUT.as_secs()),
            ),
            RecvTimeoutError::Disconnected => io::Error::other("its reading ended abnormally"),
        })
    })
}

fn read_now(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = std::fs::File::open(path)?;
    // So large from the beginning that a key is never moved, which would leave a copy of it.
    let mut bytes = Zeroizing::new(Vec::with_capacity(64 * 1024));
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("larger than 1 MiB"));
    }
    Ok(bytes)
}
