//! Health over HTTP, for probes that cannot speak gRPC.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::shutdown::Draining;

/// Serves `/livez` (the process runs) and `/readyz` (calls are taken) until the process ends.
///
/// # Errors
/// Where the listener breaks.
pub async fn serve(listener: TcpListener, draining: Draining) -> std::io::Result<()> {
    let ready = move || {
        let draining = draining.clone();
        async move {
            if draining.is_draining() {
                (StatusCode::SERVICE_UNAVAILABLE, "draining\n")
            } else {
                (StatusCode::OK, "ready\n")
            }
        }
    };
    let routes =
        Router::new().route("/livez", get(async || "alive\n")).route("/readyz", get(ready));
    axum::serve(listener, routes).await
}
