//! OTLP over HTTP, as protobuf.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{self, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use prost::Message as _;
use reqwest::{Client, Response};
use tokio::time::timeout;

use super::answer::{Answer, told};
use super::{Batch, Deliver, Refused, Taken};
use crate::clock::{Clock as _, SystemClock};
use crate::retry_after::retry_after;
use crate::telemetry::settings::Destination;

/// What we are called at collectors.
pub(super) const USER_AGENT: &str = concat!("zentra-sidecar/", env!("CARGO_PKG_VERSION"));

/// The longest answer of a collector that is read, in bytes.
const ANSWER_BYTES: usize = 16 * 1024;

/// How long the rest of an answer is waited for.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// A collector over HTTP.
#[derive(Clone)]
pub struct Http {
    client: Client,
    endpoint: String,
    may_repeat: bool,
    headers: HeaderMap,
    gzip: bool,
}

impl Http {
    /// Sends by `client`.
    #[must_use]
    pub fn new(client: Client, to: &Destination) -> Self {
        let mut headers = to.headers.map().clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
        if to.gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let (endpoint, may_repeat) = (to.endpoint.clone(), to.may_hold_secret());
        Self { client, endpoint, may_repeat, headers, gzip: to.gzip }
    }

    fn body(&self, batch: &Batch) -> Result<Vec<u8>, std::io::Error> {
        if !self.gzip {
            return Ok(batch.message());
        }
        // Fast: it is done where calls are served.
        let mut out = GzEncoder::new(Vec::new(), Compression::fast());
        out.write_all(&batch.head)?;
        out.write_all(&batch.encoded)?;
        out.finish()
    }
}

impl Deliver for Http {
    async fn deliver(&self, batch: Batch) -> Result<Taken, Refused> {
        let body = self.body(&batch).map_err(|fault| Refused::never(fault.to_string()))?;
        let request = self.client.post(&self.endpoint).headers(self.headers.clone()).body(body);
        // Without the address, which may hold a token.
        let broken = |fault: reqwest::Error| Refused::later(told(&fault.without_url()), None);
        let answer = request.send().await.map_err(broken)?;
        let status = answer.status();
        if status.is_success() {
            // One that says nothing that can be read, or not in time, has taken it all the same.
            let body = timeout(ANSWER_TIME, read(answer)).await.unwrap_or_default();
            return Ok(Answer::decode(&body[..]).unwrap_or_default().taken(self.may_repeat));
        }
        let fault = format!("answered {status}");
        // Which statuses may pass is OTLP's to say.
        Err(match status.as_u16() {
            429 | 502 | 503 | 504 => {
                Refused::later(fault, retry_after(answer.headers(), SystemClock.now()))
            }
            _ => Refused::never(fault),
        })
    }
}

/// Nothing of an answer that breaks off or is too long: the batch was taken all the same.
async fn read(mut answer: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        if body.len() + chunk.len() > ANSWER_BYTES {
            return Vec::new();
        }
        body.extend_from_slice(&chunk);
    }
    body
}
