//! A collector that takes whatever it is sent over HTTP/2, which is gRPC and OTLP over HTTP alike, and
//! tells what it was asked.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_rustls::TlsAcceptor;

use super::pki::Pair;

/// Path and headers of a request.
type Asked = (String, HeaderMap);

/// A collector that runs until the test is over.
pub(crate) struct Collector {
    pub(crate) url: String,
    /// What it was sent, in order.
    pub(crate) asked: UnboundedReceiver<Asked>,
}

impl Collector {
    /// One without TLS.
    pub(crate) async fn plain() -> Self {
        Self::start(None).await
    }

    /// One that shows this certificate.
    pub(crate) async fn over_tls(pair: &Pair) -> Self {
        let chain: Result<_, _> =
            CertificateDer::pem_slice_iter(pair.certificate.as_bytes()).collect();
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.unwrap(), key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self::start(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn start(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let (told, asked) = unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (told, tls) = (told.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => answer(stream, told).await,
                        // One that does not trust it goes away.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                answer(stream, told).await;
                            }
                        }
                    }
                });
            }
        });
        Self { url, asked }
    }
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin, told: UnboundedSender<Asked>) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut answer))) = connection.accept().await {
        let is_grpc =
            request.headers().get("content-type").is_some_and(|it| it == "application/grpc");
        // A story that has seen enough no longer listens.
        let _ = told.send((request.uri().path().to_owned(), request.headers().clone()));
        let mut response = Response::new(());
        let headers = response.headers_mut();
        let mut message = Bytes::new();
        if is_grpc {
            headers.insert("content-type", "application/grpc".parse().unwrap());
            headers.insert("grpc-status", "0".parse().unwrap());
            message = Bytes::from_static(&[0; 5]);
        }
        let mut body = answer.send_response(response, false).unwrap();
        let _ = body.send_data(message, true);
    }
}
