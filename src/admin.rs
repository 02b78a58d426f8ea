//! Health and states over HTTP, for probes that cannot speak gRPC and for Prometheus.

mod policies;
mod states;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use tokio::net::TcpListener;

pub use policies::show_policies;
pub use states::{Doors, States};

use crate::readiness::Readiness;
use crate::telemetry::Telemetry;

/// Serves `/livez` (the process runs), `/readyz` (calls are taken) and `/metrics` until the
/// process ends.
///
/// # Errors
/// Where the listener breaks.
pub async fn serve(
    listener: TcpListener,
    readiness: Readiness,
    telemetry: Telemetry,
) -> std::io::Result<()> {
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
    let routes = Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics));
    axum::serve(listener, routes).await
}
