//! The listeners, and the stack that every connection passes.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::time::sleep;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, health_reporter};

use super::CallSettings;
use super::proto::{self, payment_service_server::PaymentServiceServer};
use super::service::Payments;
use crate::clock::Clock;
use crate::gateway::Gateway;
use crate::shutdown::Draining;

/// The largest request, in bytes. The largest that the contract allows takes about 2 KiB.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;
/// The largest metadata of a request, in bytes as HTTP/2 counts them.
const MAX_METADATA_BYTES: u32 = 16 * 1024;
/// Calls at once on one connection.
const MAX_CONCURRENT_STREAMS: u32 = 1024;
/// Streams that a peer may reset before they are taken up (CVE-2023-44487).
const MAX_PENDING_RESETS: usize = 20;
/// Streams that this side may have to reset on a connection (CVE-2025-8671). tonic's own default
/// here is no limit at all.
const MAX_LOCAL_RESETS: usize = 1024;
/// How often a silent connection is asked whether it lives, and how long it has to answer.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(20));
/// How long a connection that comes once the end has begun waits for its greeting. Meanwhile a
/// client that balances its load takes another sidecar, and one that knows no other keeps its
/// call back in place of spending an attempt on a refusal.
const LATE_GREETING: Duration = Duration::from_millis(250);
/// How long such a connection then stays: for the calls that waited for it to be told why.
const LATE_STAY: Duration = Duration::from_millis(100);
/// Such connections that wait for their greeting at once; more stay in the system's queue.
const MOST_LATE: usize = 1024;

/// What health knows: the process as a whole, and the service.
const WATCHED: [&str; 2] = ["", "zentra.gateway.v1.PaymentService"];
/// What reflection lists: what is served, which is less than what the contract describes.
const SERVED: [&str; 4] = [
    "zentra.gateway.v1.PaymentService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// A bound listener, and a second handle of its socket for those who come once the end has begun.
/// A Unix socket's file is removed when it is dropped.
pub enum Listener {
    /// TCP.
    Tcp(TcpListener, std::net::TcpListener),
    /// A Unix socket.
    Unix(UnixListener, std::os::unix::net::UnixListener, SocketFile),
}

impl Listener {
    /// Binds a TCP address.
    ///
    /// # Errors
    /// As the system says.
    pub async fn tcp(address: SocketAddr) -> io::Result<Self> {
        let late = TcpListener::bind(address).await?.into_std()?;
        Ok(Self::Tcp(TcpListener::from_std(late.try_clone()?)?, late))
    }

    /// Binds a Unix socket. A file that an ended process left behind is replaced; a socket on
    /// which somebody answers is not.
    ///
    /// # Errors
    /// As the system says.
    pub async fn unix(path: &Path) -> io::Result<Self> {
        if tokio::net::UnixStream::connect(path).await.is_ok() {
            return Err(io::Error::from(io::ErrorKind::AddrInUse));
        }
        let left_behind = std::os::unix::fs::FileTypeExt::is_socket;
        if std::fs::symlink_metadata(path).is_ok_and(|it| left_behind(&it.file_type())) {
            std::fs::remove_file(path)?;
        }
        let late = UnixListener::bind(path)?.into_std()?;
        let listener = UnixListener::from_std(late.try_clone()?)?;
        Ok(Self::Unix(listener, late, SocketFile(path.to_owned())))
    }

    /// The address as callers write it.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Self::Tcp(listener, _) => {
                listener.local_addr().map_or_else(|_| "unknown".into(), |it| it.to_string())
            }
            Self::Unix(_, _, file) => format!("unix:{}", file.0.display()),
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

/// The gRPC services, ready to be put behind listeners.
#[derive(Clone)]
pub struct Server {
    routes: Routes,
    health: HealthReporter,
    draining: Draining,
    closing: CancellationToken,
    under_way: TaskTracker,
}

impl Server {
    /// Puts the services together. They are NOT_SERVING until [`Server::set_serving`].
    ///
    /// # Errors
    /// Where the compiled contract cannot be read, which a build would have shown.
    pub async fn new(
        gateway: Gateway,
        settings: CallSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, tonic_reflection::server::Error> {
        let (health, health_service) = health_reporter();
        let (under_way, draining) = (settings.under_way.clone(), settings.draining.clone());
        let payments = PaymentServiceServer::new(Payments { gateway, settings, clock })
            .max_decoding_message_size(MAX_MESSAGE_BYTES);
        let reflection = || {
            use tonic_reflection::pb;
            let builder = tonic_reflection::server::Builder::configure()
                .include_reflection_service(false)
                .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(pb::v1::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(pb::v1alpha::FILE_DESCRIPTOR_SET)
                // The details of errors, so that tools such as grpcurl can show them.
                .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET);
            SERVED.into_iter().fold(builder, |builder, name| builder.with_service_name(name))
        };
        let mut routes = Routes::builder();
        routes
            .add_service(payments)
            .add_service(health_service)
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?);
        let closing = CancellationToken::new();
        let routes = routes.routes().prepare();
        let server = Self { routes, health, draining, closing, under_way };
        server.set_serving(false).await;
        Ok(server)
    }

    /// Tells health checks, those that watch included, whether calls are taken.
    pub async fn set_serving(&self, serving: bool) {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in WATCHED {
            self.health.set_service_status(service, status).await;
        }
    }

    /// Closes the listeners, and ends the streams of those that watch health, after what they
    /// were told last. Until then calls that come are told that the sidecar ends, which a closed
    /// listener could not say.
    pub async fn close(&self) {
        self.closing.cancel();
        let mut health = self.health.clone();
        for service in WATCHED {
            health.clear_service_status(service).await;
        }
    }

    /// Returns when no call is under way, once draining has begun. Health and reflection are no
    /// calls: their streams may stay open for ever, and nothing is lost with them.
    pub async fn calls_ended(&self) {
        self.under_way.close();
        self.under_way.wait().await;
    }

    /// Serves one listener until [`Server::close`] and every connection of it has ended, which a
    /// peer that says nothing may put off for ever.
    ///
    /// Once the end begins, every connection is told goodbye (GOAWAY): calls under way end on it,
    /// and the next one makes its client connect anew, to another sidecar where there is one.
    ///
    /// # Errors
    /// Where the listener breaks.
    pub async fn serve(self, listener: Listener) -> Result<(), tonic::transport::Error> {
        let usual = self.builder().add_routes(self.routes.clone());
        let late = self.builder().max_connection_age(LATE_STAY).add_routes(self.routes.clone());
        let (begun, closed) = (self.draining.begun(), self.closing.cancelled());
        match listener {
            Listener::Tcp(listener, second) => {
                let incoming = |listener| TcpIncoming::from(listener).with_nodelay(Some(true));
                let usual = usual.serve_with_incoming_shutdown(incoming(listener), begun);
                let late = async {
                    self.draining.begun().await;
                    let Ok(second) = TcpListener::from_std(second) else { return Ok(()) };
                    late.serve_with_incoming_shutdown(greeted_late(incoming(second)), closed).await
                };
                tokio::try_join!(usual, late)?;
            }
            Listener::Unix(listener, second, _file) => {
                let incoming = UnixListenerStream::new;
                let usual = usual.serve_with_incoming_shutdown(incoming(listener), begun);
                let late = async {
                    self.draining.begun().await;
                    let Ok(second) = UnixListener::from_std(second) else { return Ok(()) };
                    late.serve_with_incoming_shutdown(greeted_late(incoming(second)), closed).await
                };
                tokio::try_join!(usual, late)?;
            }
        }
        Ok(())
    }

    /// The limits that every connection has.
    fn builder(&self) -> tonic::transport::Server {
        tonic::transport::Server::builder()
            .max_concurrent_streams(Some(MAX_CONCURRENT_STREAMS))
            .http2_max_pending_accept_reset_streams(Some(MAX_PENDING_RESETS))
            .http2_max_local_error_reset_streams(Some(MAX_LOCAL_RESETS))
            .http2_max_header_list_size(Some(MAX_METADATA_BYTES))
            .http2_keepalive_interval(Some(KEEPALIVE.0))
            .http2_keepalive_timeout(Some(KEEPALIVE.1))
    }
}

/// The same connections, each one [`LATE_GREETING`] later.
fn greeted_late<C>(incoming: impl Stream<Item = C>) -> impl Stream<Item = C> {
    let later = |connection| async {
        sleep(LATE_GREETING).await;
        connection
    };
    incoming.map(later).buffer_unordered(MOST_LATE)
}
