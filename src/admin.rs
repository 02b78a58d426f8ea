//! Health and states over HTTP, for probes that cannot speak gRPC and for Prometheus. It is asked by
//! anybody who reaches it: a connection has one request, and little time.

mod policies;
mod states;

use std::net::IpAddr;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

pub use policies::show_policies;
pub use states::{Doors, States};

use crate::listen::{Seat, WaitingRoom, network};
use crate::readiness::Readiness;
use crate::telemetry::Telemetry;

/// Connections at once. Of more, one gives way: the oldest of the network that has most. A probe
/// that just asks is never that one, whoever else leaves connections open.
const MAX_CONNECTIONS: usize = 64;
/// How long a connection may be there, from its first byte to the last one of its answer.
const STAY: Duration = Duration::from_secs(10);
/// Of that, how long the head of its request may take.
const HEAD: Duration = Duration::from_secs(5);
/// The largest head, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// The pause after the system refused a new connection, for want of file descriptors say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `/livez` (the process runs), `/readyz` (calls are taken) and `/metrics` until this is
/// dropped. Each connection has one request.
pub async fn serve(listener: TcpListener, readiness: Readiness, telemetry: Telemetry) {
    let (routes, room) = (routes(readiness, telemetry), WaitingRoom::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => {
                let (seat, routes) = (seat(&room, from.ip()), routes.clone());
                connections.spawn(async move {
                    tokio::select! {
                        () = seat.given_up().cancelled() => {}
                        _ = timeout(STAY, answer(stream, routes)) => {}
                    }
                });
            }
            Err(fault) => {
                tracing::warn!(%fault, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A seat for a connection from this address, for which another may have to give way.
fn seat(room: &WaitingRoom<IpAddr, ()>, from: IpAddr) -> Seat<IpAddr, ()> {
    room.enter(network(from), ())
}

async fn answer(stream: TcpStream, routes: Router) {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MAX_HEAD_BYTES)
        .keep_alive(false);
    let service = TowerToHyperService::new(routes);
    if let Err(fault) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%fault, "a connection of the admin port failed");
    }
}

fn routes(readiness: Readiness, telemetry: Telemetry) -> Router {
    let ready = move || {
        let fault = readiness.fault();
        async move {
            match fault {
                None => (StatusCode::OK, "ready\n".to_owned()),
                Some(fault) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {fault}\n")),
            }
        }
    };
    let metrics = move || {
        let text = telemetry.prometheus_text();
        async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text) }
    };
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    /// Whoever has one address of IPv6 has 2^64 of them.
    #[test]
    fn a_network_of_many_addresses_takes_no_probes_seat() {
        let room = WaitingRoom::new(MAX_CONNECTIONS);
        let enter = |network_number: u16, host: u16| {
            let from = Ipv6Addr::from([0x2001, 0xdb8, 0, network_number, 0, 0, 0, host]);
            seat(&room, IpAddr::V6(from))
        };
        let probe = enter(1, 1);
        let flood: Vec<_> = (0..500).map(|host| enter(2, host)).collect();
        assert!(!probe.given_up().is_cancelled());
        let gone = flood.iter().filter(|seat| seat.given_up().is_cancelled()).count();
        assert_eq!(gone, 500 + 1 - MAX_CONNECTIONS);
    }
}
