//! Bound listeners, and what becomes of each new connection.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use rustix::fs::{FileType, Mode, OFlags};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::limits::{ACCEPT_PAUSE, HANDSHAKE};
use super::tls::{self, Terms};
use super::{Connections, Peer, connection};
use crate::domain::Caller;
use crate::shutdown::Draining;

/// The users that may call over a Unix socket; none of them where it is anybody who can open it.
pub type TrustedUids = Option<Arc<[u32]>>;

/// A bound listener. A Unix socket's file is removed when it is dropped.
pub enum Listener {
    /// TCP in the clear; whoever calls is this caller.
    Tcp(TcpListener, Caller),
    /// A Unix socket; whoever may open it is this caller.
    Unix(UnixListener, SocketFile, Caller, TrustedUids),
    /// TCP with mutual TLS; the certificate says who calls.
    Tls(TcpListener, Arc<Terms>),
}

impl Listener {
    /// Binds a TCP address.
    ///
    /// # Errors
    /// As the system says.
    pub async fn tcp(address: SocketAddr, caller: Caller) -> io::Result<Self> {
        TcpListener::bind(address).await.map(|listener| Self::Tcp(listener, caller))
    }

    /// Binds a TCP address that is served with mutual TLS.
    ///
    /// # Errors
    /// As the system says.
    pub async fn tls(address: SocketAddr, terms: Arc<Terms>) -> io::Result<Self> {
        TcpListener::bind(address).await.map(|listener| Self::Tls(listener, terms))
    }

    /// Binds a Unix socket. A file that an ended process left behind is replaced; a socket on
    /// which somebody answers is not.
    ///
    /// Where certain users are trusted, every user may open it: who is at the other end is looked at
    /// then. Else its mode is what the process's umask leaves.
    ///
    /// # Errors
    /// As the system says.
    pub async fn unix(path: &Path, caller: Caller, trusted: TrustedUids) -> io::Result<Self> {
        // Only a refusal says that nobody listens there. One that is too busy to answer, or that
        // another user keeps to himself, is in use: binding says so.
        let refused = io::ErrorKind::ConnectionRefused;
        let is_socket = std::os::unix::fs::FileTypeExt::is_socket;
        if UnixStream::connect(path).await.is_err_and(|fault| fault.kind() == refused)
            && std::fs::symlink_metadata(path).is_ok_and(|it| is_socket(&it.file_type()))
        {
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        let file = SocketFile(path.to_owned());
        if trusted.is_some() {
            open_to_every_user(path)?;
        }
        Ok(Self::Unix(listener, file, caller, trusted))
    }

    /// The address as callers write it.
    #[must_use]
    pub fn address(&self) -> String {
        let of = |listener: &TcpListener| {
            listener.local_addr().map_or_else(|_| "unknown".into(), |it| it.to_string())
        };
        match self {
            Self::Tcp(listener, _) => of(listener),
            Self::Unix(_, file, ..) => format!("unix:{}", file.0.display()),
            Self::Tls(listener, _) => format!("tls://{}", of(listener)),
        }
    }

    /// Serves every connection until `closing`, and then until each has ended, which a peer that
    /// says nothing may put off. Where this is dropped the connections are cut.
    ///
    /// Once the process drains, every connection is told goodbye; those that come then are greeted
    /// late and told goodbye soon.
    pub async fn serve<S, B>(
        self,
        service: S,
        door: Connections,
        draining: Draining,
        closing: CancellationToken,
    ) where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = closing.cancelled() => break,
                // What has ended makes room.
                Some(_) = connections.join_next() => continue,
                accepted = self.accept() => accepted,
            };
            match accepted {
                Ok(stream) if draining.is_draining() => {
                    connections.spawn(stream.serve(service.clone(), door.late(), closing.clone()));
                }
                Ok(stream) => {
                    let end = draining.token();
                    connections.spawn(stream.serve(service.clone(), door.clone(), end));
                }
                // Of a peer that is gone already, say; or there are no file descriptors left, and
                // the next attempt would fail as fast.
                Err(fault) => {
                    tracing::warn!(%fault, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // Nobody else is to wait in its queue.
        drop(self);
        while connections.join_next().await.is_some() {}
    }

    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener, caller) => {
                let peer = Peer::new(caller.clone(), true);
                Ok(Accepted::Tcp(tcp(listener).await?.0, peer))
            }
            Self::Tls(listener, terms) => {
                let (stream, from) = tcp(listener).await?;
                Ok(Accepted::Tls(stream, from, terms.clone()))
            }
            Self::Unix(listener, _, caller, trusted) => {
                let (stream, _) = listener.accept().await?;
                let peer = match trusted {
                    None => Peer::new(caller.clone(), true),
                    Some(trusted) => peer_of(stream.peer_cred()?.uid(), trusted, caller)?,
                };
                Ok(Accepted::Unix(stream, peer))
            }
        }
    }
}

/// Who a user is: the configured caller where it is trusted. Another one is told of by its number, as
/// the service that the socket is for has not called.
fn peer_of(uid: u32, trusted: &[u32], caller: &Caller) -> io::Result<Peer> {
    if trusted.contains(&uid) {
        return Ok(Peer::new(caller.clone(), true));
    }
    let stranger = Caller::new(&format!("uid-{uid}")).map_err(io::Error::other)?;
    Ok(Peer::new(stranger, false))
}

/// Lets every user connect to a socket that was just bound. Until then only those may whom the umask
/// lets, so that nobody comes too early.
fn open_to_every_user(path: &Path) -> io::Result<()> {
    // Whoever may write to the folder may have put something else in its place by now, such as a
    // link to another file of this user's: what is looked at and what is changed is one and the same.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty())?;
    if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::Socket {
        return Err(io::Error::other("something else was put in its place"));
    }
    // The way to change the mode of what is open as a place only.
    let opened = format!("/proc/self/fd/{}", file.as_raw_fd());
    std::fs::set_permissions(opened, std::fs::Permissions::from_mode(0o666))
}

async fn tcp(listener: &TcpListener) -> io::Result<(TcpStream, IpAddr)> {
    let (stream, from) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, from.ip()))
}

/// A new connection.
enum Accepted {
    Tcp(TcpStream, Peer),
    Unix(UnixStream, Peer),
    Tls(TcpStream, IpAddr, Arc<Terms>),
}

impl Accepted {
    async fn serve<S, B>(self, service: S, door: Connections, closing: CancellationToken)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let accepted = Instant::now();
        match self {
            Self::Tcp(stream, peer) => {
                let Some(_place) = door.enter(&peer).await else { return };
                let stay = door.stay(&peer, accepted);
                connection::serve(stream, peer, service, stay, closing).await;
            }
            Self::Unix(stream, peer) => {
                let Some(_place) = door.enter(&peer).await else { return };
                let stay = door.stay(&peer, accepted);
                connection::serve(stream, peer, service, stay, closing).await;
            }
            Self::Tls(stream, from, terms) => {
                let seat = door.shake_hands(from).await;
                let shaken = tokio::select! {
                    () = closing.cancelled() => return,
                    () = seat.given_up().cancelled() => Err("it gave way to newer ones".to_owned()),
                    shaken = timeout_at(accepted + HANDSHAKE, terms.accept(stream)) => match shaken {
                        Ok(shaken) => shaken.map_err(|fault| tls::handshake_fault(&fault)),
                        Err(_) => Err("it took too long".to_owned()),
                    },
                };
                drop(seat);
                match shaken {
                    Ok((stream, peer)) => {
                        let Some(_place) = door.enter_as(&peer) else { return };
                        let stay = door.stay(&peer, accepted);
                        connection::serve(stream, peer, service, stay, closing).await;
                    }
                    Err(fault) => door.refuse_handshake(&fault),
                }
            }
        }
    }
}

/// The file of a Unix socket, removed when dropped.
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may be gone already, which is as good.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many connections as its queue holds, so that the next one would have to wait.
    async fn fill(path: &Path) -> Vec<UnixStream> {
        let mut waiting = Vec::new();
        loop {
            match UnixStream::connect(path).await {
                Ok(stream) => waiting.push(stream),
                Err(_) => return waiting,
            }
        }
    }

    #[test]
    fn what_was_put_in_the_place_of_a_socket_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (file, path) = (folder.path().join("file"), folder.path().join("socket"));
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&file, &path).unwrap();
        let fault = open_to_every_user(&path).unwrap_err();
        assert!(fault.to_string().contains("put in its place"), "{fault}");
        assert!(open_to_every_user(&file).is_err());
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_socket_whose_process_is_too_busy_to_answer_is_not_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let (path, caller) = (folder.path().join("socket"), Caller::new("local").unwrap());
        let busy = UnixListener::bind(&path).unwrap();
        let waiting = fill(&path).await;
        let Err(fault) = Listener::unix(&path, caller.clone(), None).await else {
            panic!("it was taken over")
        };
        assert_eq!(fault.kind(), io::ErrorKind::AddrInUse);
        drop((busy, waiting));
        let taken = Listener::unix(&path, caller, None).await;
        assert!(taken.is_ok(), "what an ended process left behind is replaced");
    }
}
