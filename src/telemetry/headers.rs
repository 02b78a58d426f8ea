//! What collectors want to be told by whoever sends to them, such as a token.

use std::collections::HashMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

/// The form, as OpenTelemetry has it for `OTEL_EXPORTER_OTLP_HEADERS`.
pub const FORM: &str = "must be NAME=VALUE, separated by commas or lines, with names and values \
                        that HTTP takes; what HTTP or the form does not take is written as %XX";

/// Headers for collectors. They may be secrets: their values are marked as such, so that `Debug` has
/// their names only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(HeaderMap);

impl Headers {
    /// Reads `NAME=VALUE`, separated by commas or lines.
    ///
    /// # Errors
    /// [`FORM`], which repeats nothing of the text.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut headers = HeaderMap::new();
        let entries = text.split([',', '\n']).map(str::trim).filter(|entry| !entry.is_empty());
        for entry in entries {
            let (name, value) = entry.split_once('=').ok_or(FORM)?;
            let name = HeaderName::try_from(name.trim()).map_err(|_| FORM)?;
            let value = percent_decode_str(value.trim()).decode_utf8().map_err(|_| FORM)?;
            // Over gRPC a header is text.
            let is_text =
                !value.is_empty() && value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            let mut value = HeaderValue::from_str(&value).map_err(|_| FORM)?;
            value.set_sensitive(true);
            if !is_text || headers.insert(name, value).is_some() {
                return Err(FORM);
            }
        }
        if headers.is_empty() { Err(FORM) } else { Ok(Self(headers)) }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their names, in order.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.0.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    /// As HTTP has them.
    pub(super) fn map(&self) -> &HeaderMap {
        &self.0
    }

    /// As gRPC has them.
    pub(super) fn metadata(&self) -> tonic::metadata::MetadataMap {
        tonic::metadata::MetadataMap::from_headers(self.0.clone())
    }

    /// As the HTTP exporter has them.
    pub(super) fn by_name(&self) -> HashMap<String, String> {
        let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
        self.0.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standards_form_and_lines_are_read() {
        for text in [
            "authorization=Bearer%20a1,x-tenant=shop",
            "Authorization = Bearer a1\nx-tenant=shop\n",
            " authorization=Bearer a1 ,\n x-tenant=%73hop",
        ] {
            let headers = Headers::parse(text).ok().unwrap();
            assert_eq!(headers.names(), ["authorization", "x-tenant"], "{text:?}");
            let by_name = headers.by_name();
            assert_eq!((&*by_name["authorization"], &*by_name["x-tenant"]), ("Bearer a1", "shop"));
            assert_eq!(headers.metadata().get("authorization").unwrap(), "Bearer a1");
        }
        let shown = format!("{:?}", Headers::parse("authorization=a1"));
        assert!(shown.contains("authorization") && !shown.contains("a1"), "{shown}");
        let equals = Headers::parse("authorization=Basic YTpi==").ok().unwrap();
        assert_eq!(equals.by_name()["authorization"], "Basic YTpi==");
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for text in ["", "\n", "token", "a b=c", "a=", "=c", "a=%0A", "a=%ff", "a=b,A=c", "a=ä"] {
            assert_eq!(Headers::parse(text).err(), Some(FORM), "{text:?}");
        }
    }
}
