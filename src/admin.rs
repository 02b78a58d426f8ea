//! Health over HTTP, for probes that cannot speak gRPC.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::readiness::Readiness;

/// Serves `/livez` (the process runs) and `/readyz` (calls are taken) until the process ends.
///
/// # Errors
/// Where the listener breaks.
pub async fn serve(listener: TcpListener, readiness: Readiness) -> std::io::Result<()> {
    let ready = move || {
        let fault = readiness.fault();
        async move {
            match fault {
                None => (StatusCode::OK, "ready\n".to_owned()),
                Some(fault) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {fault}\n")),
            }
        }
    };
    let routes =
        Router::new().route("/livez", get(async || "alive\n")).route("/readyz", get(ready));
    axum::serve(listener, routes).await
}
