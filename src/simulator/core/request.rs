//! A request and a response as plain values, with no connection behind them.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

/// An HTTP request whose body has been read.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path, still percent-encoded.
    pub path: String,
    /// The query without its `?`; empty where there is none.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most 256 KiB.
    pub body: Bytes,
}

impl Request {
    /// A request with a bearer key and, where a body is given, the JSON content type.
    ///
    /// `target` is path and query. A key that is no valid header value is left out.
    #[must_use]
    pub fn new(method: Method, target: &str, key: &str, body: Option<&serde_json::Value>) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::try_from(format!("Bearer {key}")) {
            headers.insert(http::header::AUTHORIZATION, value);
        }
        if body.is_some() {
            let json = HeaderValue::from_static("application/json");
            headers.insert(http::header::CONTENT_TYPE, json);
        }
        Self {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body: body.map(|body| Bytes::from(body.to_string())).unwrap_or_default(),
        }
    }

    /// A header as text; `None` where it is missing or not visible ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A parameter of the query, decoded.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(found, _)| *found == name)
            .and_then(|(_, value)| super::route::decode(value))
    }
}

/// An HTTP response whose body is whole.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Response {
    /// A response with one content type.
    #[must_use]
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut response = Self { status, headers: HeaderMap::new(), body: body.into() };
        response.set(http::header::CONTENT_TYPE, content_type);
        response
    }

    /// Sets a header; a value that HTTP does not allow is left out.
    pub fn set(&mut self, name: HeaderName, value: impl AsRef<str>) {
        if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
            self.headers.insert(name, value);
        }
    }

    /// The body as JSON; null where it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}
