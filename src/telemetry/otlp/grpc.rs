//! OTLP over gRPC.

use std::time::Duration;

use bytes::BufMut as _;
use http::uri::PathAndQuery;
use tonic::codec::{BufferSettings, Codec, CompressionEncoding, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstDecoder;
use tonic_types::StatusExt as _;

use super::answer::{Answer, told};
use super::{Batch, Deliver, Refused, Taken};
use crate::telemetry::settings::Destination;

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// How long a connection may say nothing while something is on its way, before it is asked whether
/// it is still there: a collector that moved is found again before TCP gives up, which takes a
/// quarter of an hour. Longer than most answers take, as servers end a connection that asks often.
const SILENCE: Duration = Duration::from_secs(5);

/// How long a connection may take to come about, or to say that it is still there. After the silence
/// it leaves a batch, which has ten seconds where nothing else is said, the time to go over another one.
const PATIENCE: Duration = Duration::from_secs(3);

/// A collector over gRPC.
#[derive(Clone)]
pub struct Grpc {
    client: tonic::client::Grpc<Channel>,
    may_repeat: bool,
    metadata: MetadataMap,
}

impl Grpc {
    /// Connects where the first batch comes. Needs a runtime.
    ///
    /// # Errors
    /// A sentence for the operator where the address is none, or TLS cannot be set up.
    pub fn new(to: &Destination) -> Result<Self, String> {
        let mut client = tonic::client::Grpc::new(channel(to)?);
        if to.gzip {
            client = client.send_compressed(CompressionEncoding::Gzip);
            client = client.accept_compressed(CompressionEncoding::Gzip);
        }
        Ok(Self { client, may_repeat: to.may_hold_secret(), metadata: to.headers.metadata() })
    }
}

/// Connections to a collector, for spans and metrics alike. Needs a runtime.
///
/// # Errors
/// A sentence for the operator where the address is none, or TLS cannot be set up.
pub fn channel(to: &Destination) -> Result<Channel, String> {
    let mut endpoint = Endpoint::from_shared(to.endpoint.clone())
        .map_err(|fault| told(&fault))?
        .user_agent(super::http::USER_AGENT)
        .map_err(|fault| told(&fault))?
        .connect_timeout(PATIENCE)
        .http2_keep_alive_interval(SILENCE)
        .keep_alive_timeout(PATIENCE);
    if to.is_tls() {
        // The library's own choice trusts nobody at all.
        endpoint = endpoint
            .tls_config(ClientTlsConfig::new().with_native_roots())
            .map_err(|fault| told(&fault))?;
    }
    Ok(endpoint.connect_lazy())
}

impl Deliver for Grpc {
    async fn deliver(&self, batch: Batch) -> Result<Taken, Refused> {
        let mut client = self.client.clone();
        let ready = client.ready().await;
        ready.map_err(|fault| Refused::later(told(&fault), None))?;
        let mut request = Request::new(batch);
        *request.metadata_mut() = self.metadata.clone();
        let path = PathAndQuery::from_static(EXPORT);
        let answer = client.unary(request, path, Encoded).await;
        answer.map(|it| it.into_inner().taken(self.may_repeat)).map_err(|status| refused(&status))
    }
}

/// Which of gRPC's codes may pass is OTLP's to say. What the collector says beside the code is not
/// told: it may repeat what it was sent, a token too.
fn refused(status: &Status) -> Refused {
    // No collector has said it, but a connection that was lost.
    if let Some(source) = std::error::Error::source(status) {
        return Refused::later(told(source), None);
    }
    let asked = status.get_details_retry_info().and_then(|it| it.retry_delay);
    let fault = format!("answered {:?}", status.code());
    match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Refused::later(fault, asked),
        Code::ResourceExhausted if asked.is_some() => Refused::later(fault, asked),
        _ => Refused::never(fault),
    }
}

/// Messages that are bytes already.
struct Encoded;

impl Codec for Encoded {
    type Encode = Batch;
    type Decode = Answer;
    type Encoder = Self;
    type Decoder = ProstDecoder<Answer>;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder::new(BufferSettings::default())
    }
}

impl Encoder for Encoded {
    type Item = Batch;
    type Error = Status;

    fn encode(&mut self, batch: Batch, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.reserve(batch.head.len() + batch.encoded.len());
        out.put(batch.head);
        out.put(batch.encoded);
        Ok(())
    }
}
