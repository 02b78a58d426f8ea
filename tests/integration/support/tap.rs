//! A transport that tells of each exchange as it happens.

use bytes::Bytes;
use http::{Request, Response};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};
use zentra_sidecar::upstream::{TransportError, Upstream};

/// An exchange began or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tapped {
    Began(String),
    Ended(String),
}

/// The transport, and what it tells.
pub(crate) struct Tap(UnboundedReceiver<Tapped>);

/// Puts a tap on `upstream`.
pub(crate) fn tapped(upstream: Upstream) -> (Upstream, Tap) {
    let (sender, receiver) = unbounded_channel();
    let service =
        tower::service_fn(move |request| exchange(upstream.clone(), sender.clone(), request));
    (BoxCloneSyncService::new(service), Tap(receiver))
}

async fn exchange(
    mut upstream: Upstream,
    sender: UnboundedSender<Tapped>,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, TransportError> {
    let name = format!("{} {}", request.method(), request.uri().path());
    let name = name.replace("/api/v1/payments", "");
    // A story that has seen enough no longer listens.
    let _ = sender.send(Tapped::Began(name.clone()));
    let answer = upstream.ready().await?.call(request).await;
    let _ = sender.send(Tapped::Ended(name));
    answer
}

impl Tap {
    /// The next event.
    pub(crate) async fn next(&mut self) -> Tapped {
        super::soon(self.0.recv()).await.expect("the transport is gone")
    }

    /// Waits until this exchange has begun.
    pub(crate) async fn began(&mut self, name: &str) {
        while self.next().await != Tapped::Began(name.to_owned()) {}
    }

    /// Waits until this exchange has ended.
    pub(crate) async fn ended(&mut self, name: &str) {
        while self.next().await != Tapped::Ended(name.to_owned()) {}
    }
}
