//! Who tells: the service and the process that spans and metrics come from.

use std::sync::LazyLock;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use percent_encoding::percent_decode_str;

/// The variable of attributes, as OpenTelemetry has it.
pub const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";

/// The form of [`ATTRIBUTES`].
pub const FORM: &str = "must be KEY=VALUE, separated by commas; commas, equals signs and what is not \
                        ASCII are written as %XX";

/// Reads `KEY=VALUE`, separated by commas. The SDK does too, but takes `%2C` for four characters and
/// passes over what it cannot read.
///
/// # Errors
/// [`FORM`].
pub fn attributes(text: &str) -> Result<Vec<(String, String)>, &'static str> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let read = |entry: &str| {
        let (key, value) = entry.split_once('=').ok_or(FORM)?;
        let decode = |text: &str| {
            let text = percent_decode_str(text.trim()).decode_utf8().map_err(|_| FORM)?;
            Ok::<_, &'static str>(text.into_owned())
        };
        let (key, value) = (decode(key)?, decode(value)?);
        if key.is_empty() { Err(FORM) } else { Ok((key, value)) }
    };
    entries.map(read).collect()
}

/// The service's name, its version and this process, as `OTEL_SERVICE_NAME` and
/// `OTEL_RESOURCE_ATTRIBUTES` say where they say anything.
#[must_use]
pub fn resource() -> Resource {
    of(|name| std::env::var(name).ok().filter(|text| !text.is_empty()))
}

fn of(variable: impl Fn(&str) -> Option<String>) -> Resource {
    static INSTANCE: LazyLock<String> =
        LazyLock::new(|| format!("{:032x}", rand::random::<u128>()));
    // Faults in it are told with those of all settings, before anything is started.
    let told = variable(ATTRIBUTES).and_then(|text| attributes(&text).ok()).unwrap_or_default();
    let usual = [
        ("service.name", "zentra-sidecar"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("service.instance.id", &INSTANCE),
    ];
    // What comes later is what counts.
    let usual = usual.map(|(key, value)| KeyValue::new(key, value.to_owned()));
    let told = told.into_iter().map(|(key, value)| KeyValue::new(key, value));
    let name = variable(SERVICE_NAME).map(|name| KeyValue::new("service.name", name));
    // Without the SDK's own reading of the variables.
    let builder = Resource::builder_empty().with_detector(Box::new(TelemetryResourceDetector));
    builder.with_attributes(usual.into_iter().chain(told).chain(name)).build()
}

#[cfg(test)]
mod tests {
    use opentelemetry::Key;

    use super::*;

    fn says(variables: &[(&str, &str)], key: &'static str) -> String {
        let get = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, text)| (*text).to_owned())
        };
        of(get).get(&Key::from(key)).map(|it| it.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_process_says_who_it_is() {
        assert_eq!(says(&[], "service.name"), "zentra-sidecar");
        assert_eq!(says(&[], "service.version"), env!("CARGO_PKG_VERSION"));
        let id = says(&[], "service.instance.id");
        assert_eq!((id.len(), says(&[], "service.instance.id")), (32, id));
    }

    #[test]
    fn the_standards_variables_say_more() {
        let told = [(ATTRIBUTES, "service.name=shop, team = a%2Cb ,service.instance.id=pod-1")];
        assert_eq!(says(&told, "service.name"), "shop");
        assert_eq!(says(&told, "team"), "a,b");
        assert_eq!(says(&told, "service.instance.id"), "pod-1");
        let named = [told[0], (SERVICE_NAME, "payments")];
        assert_eq!(says(&named, "service.name"), "payments");
    }

    #[test]
    fn what_is_no_attribute_is_refused() {
        for text in ["team", "a=b,team", "=b", "a=%ff"] {
            assert_eq!(attributes(text), Err(FORM), "{text}");
        }
        assert_eq!(attributes(" , "), Ok(vec![]));
    }
}
