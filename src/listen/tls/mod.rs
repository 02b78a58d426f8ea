//! Mutual TLS: the sidecar shows its certificate, and takes those callers only whose certificate
//! an authority of the trust domain has signed. Both follow their files.

mod files;
mod in_force;
mod leaf;
mod verifier;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::{CertificateError, OtherError};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub use files::{FileFault, FileKind, Files};

use files::{Contents, Readings};
use in_force::InForce;

use super::Peer;
use crate::clock::Clock;
use crate::domain::{SpiffePattern, TrustDomain};

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_secs(2);
/// The time between two readings of files that have changed. Who writes in place may be half
/// done, and half of a bundle looks like a bundle.
const SETTLE: Duration = Duration::from_millis(25);
/// Readings of files that go on changing, in one look.
const MOST_READINGS: u32 = 5;
/// How often the files are looked at once readings hang; what doubling the interval ends at.
const LONGEST_INTERVAL: Duration = Duration::from_secs(300);

/// Whose certificates are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The one trust domain that the bundle is of.
    pub trust_domain: TrustDomain,
    /// The ids that may call. Others of the trust domain may connect, and are told that they may
    /// not call.
    pub allowed: Vec<SpiffePattern>,
}

/// On what terms connections are made. New files make new terms for new connections; those that
/// there are go on.
pub struct Terms {
    files: Files,
    rules: Arc<Rules>,
    in_force: ArcSwap<InForce>,
    readings: Arc<Readings>,
}

impl Terms {
    /// Reads the files, as they are good at a moment.
    ///
    /// # Errors
    /// Every fault of every file.
    pub fn read(files: Files, rules: Rules, now: Timestamp) -> Result<Self, Vec<FileFault>> {
        let (rules, readings) = (Arc::new(rules), Arc::<Readings>::default());
        let in_force = InForce::new(&files.read(&readings)?, &rules, now)?;
        Ok(Self { files, rules, in_force: ArcSwap::from_pointee(in_force), readings })
    }

    /// Whose certificates are taken.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The end of the validity of the certificate in force, in seconds of Unix time.
    #[must_use]
    pub fn not_after(&self) -> i64 {
        self.in_force.load().not_after
    }

    /// Shakes hands with a peer, and says who it is.
    ///
    /// # Errors
    /// Where the peer does not, or is nobody who may connect.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, Peer)> {
        let acceptor = TlsAcceptor::from(self.in_force.load().config.clone());
        let stream = acceptor.accept(stream).await?;
        let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let leaf = leaf.ok_or_else(|| io::Error::other("there is no certificate"))?;
        let peer = self.rules.peer(leaf).map_err(io::Error::other)?;
        Ok((stream, peer))
    }

    /// Looks for new files again and again. Never ends.
    pub async fn watch(self: Arc<Self>, clock: Arc<dyn Clock>) {
        let mut told = None;
        let mut interval = INTERVAL;
        loop {
            let fault = self.look(clock.now()).await.err();
            if let Some(fault) = &fault
                && told.as_ref() != Some(fault)
            {
                tracing::error!(fault, "the TLS files are wrong; the last good ones stay in force");
            }
            // A reading that hangs holds a thread: the next one, of files that may have been
            // replaced, comes later each time.
            interval = match fault.is_some() && self.readings.hanging() > 0 {
                true => (interval * 2).min(LONGEST_INTERVAL),
                false => INTERVAL,
            };
            told = fault;
            sleep(interval).await;
        }
    }

    /// Takes new files where there are some.
    async fn look(&self, now: Timestamp) -> Result<(), String> {
        let Some(contents) = self.read_settled().await? else { return Ok(()) };
        let new = InForce::new(&contents, &self.rules, now).map_err(|faults| told(&faults))?;
        let not_after = new.not_after;
        self.in_force.store(Arc::new(new));
        tracing::info!(not_after, "new TLS files are in force");
        Ok(())
    }

    /// What the files have come to rest at; none where it is in force.
    async fn read_settled(&self) -> Result<Option<Contents>, String> {
        let in_force = self.in_force.load().digest;
        let mut last = self.read_again().await;
        if last.as_ref().is_ok_and(|contents| contents.digest() == in_force) {
            return Ok(None);
        }
        for _ in 1..MOST_READINGS {
            if self.readings.hanging() > 0 && last.is_err() {
                // Another reading may hang as well.
                return last.map(Some);
            }
            sleep(SETTLE).await;
            let next = self.read_again().await;
            let agree = match (&last, &next) {
                (Ok(one), Ok(other)) => one.digest() == other.digest(),
                (Err(one), Err(other)) => one == other,
                _ => false,
            };
            if agree {
                return next.map(Some);
            }
            last = next;
        }
        Err("they change all the time".to_owned())
    }

    async fn read_again(&self) -> Result<Contents, String> {
        let (files, readings) = (self.files.clone(), self.readings.clone());
        match tokio::task::spawn_blocking(move || files.read(&readings)).await {
            Ok(read) => read.map_err(|faults| told(&faults)),
            Err(fault) => Err(fault.to_string()),
        }
    }
}

/// What went wrong with a handshake, as an operator reads it.
pub(super) fn handshake_fault(fault: &io::Error) -> String {
    match fault.get_ref().and_then(|fault| fault.downcast_ref()) {
        // The rules' own words, which the library shows as code only.
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(fault)))) => {
            fault.to_string()
        }
        _ => fault.to_string(),
    }
}

fn told(faults: &[FileFault]) -> String {
    let texts: Vec<_> = faults.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

#[cfg(test)]
mod tests;
