//! The three files, as they stand on disk.

use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// The largest file, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

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

impl Files {
    /// Reads all three.
    pub(super) fn read(&self) -> Result<Contents, Vec<FileFault>> {
        let mut faults = Vec::new();
        let mut read = |file, path: &Path| {
            let bytes = read_bounded(path);
            bytes.map_err(|fault| {
                // Not from where: it may be the key itself, in the place of the name of its file.
                faults.push(FileFault::new(file, format!("cannot be read: {fault}")));
            })
        };
        let certificate = read(FileKind::Certificate, &self.certificate);
        let key = read(FileKind::Key, &self.key);
        let client_ca = read(FileKind::ClientCa, &self.client_ca);
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

fn read_bounded(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = std::fs::File::open(path)?;
    // So large from the beginning that a key is never moved, which would leave a copy of it.
    let mut bytes = Zeroizing::new(Vec::with_capacity(64 * 1024));
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other("larger than 1 MiB"));
    }
    Ok(bytes)
}
