//! A Zentra that costs next to nothing: it answers each charge with what was asked.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Serves until it is ended; the first line of its output is its address.
pub(crate) async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        socket.set_nodelay(true).unwrap();
        tokio::spawn(async move {
            let connection = http1::Builder::new();
            // A client that goes is no fault.
            let _ = connection.serve_connection(TokioIo::new(socket), service_fn(answer)).await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_charge = request.method() == Method::POST;
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes);
    let asked: Value = serde_json::from_slice(&body.unwrap_or_default()).unwrap_or_default();
    let (status, told) = match is_charge {
        true => (StatusCode::CREATED, charge(&asked)),
        false => (StatusCode::NOT_FOUND, json!({"error": {"code": "not_found"}})),
    };
    let answer = Response::builder().status(status).header("content-type", "application/json");
    Ok(answer.body(Full::new(told.to_string().into())).unwrap())
}

fn charge(asked: &Value) -> Value {
    json!({"success": true, "data": {
        "id": "chg_1",
        "reference": asked["reference"],
        "status": "successful",
        "amount_minor": asked["amount_minor"],
        "currency": asked["currency"],
        "customer_id": asked["customer_id"],
        "payment_token_id": asked["payment_token_id"],
        "capture_mode": asked["capture_mode"],
    }})
}
