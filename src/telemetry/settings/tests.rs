use super::*;

fn read(variables: &[(&str, &str)]) -> Result<OtelSettings, Vec<String>> {
    let get = |name: &str| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, text)| (*text).to_owned())
    };
    OtelSettings::read(get)
}

/// How and where the two signals go.
fn ways(variables: &[(&str, &str)]) -> [Option<(Protocol, String)>; 2] {
    let OtelSettings { traces, metrics, .. } = read(variables).unwrap();
    [traces, metrics].map(|it| it.map(|to| (to.protocol, to.endpoint)))
}

fn way(protocol: Protocol, endpoint: &str) -> Option<(Protocol, String)> {
    Some((protocol, endpoint.to_owned()))
}

#[test]
fn nothing_is_exported_until_a_collector_is_named() {
    assert_eq!(read(&[]).unwrap(), OtelSettings::default());
    let http = |signal| way(Protocol::Http, &format!("http://collector:4318/v1/{signal}"));
    for base in ["http://collector:4318", "http://collector:4318/"] {
        let named = ways(&[("OTEL_EXPORTER_OTLP_ENDPOINT", base)]);
        assert_eq!(named, [http("traces"), http("metrics")]);
    }
    let asked = ways(&[("OTEL_TRACES_EXPORTER", "otlp")]);
    assert_eq!(asked, [way(Protocol::Http, "http://localhost:4318/v1/traces"), None]);
    let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let asked = ways(&[("OTEL_METRICS_EXPORTER", "otlp"), grpc]);
    assert_eq!(asked, [None, way(Protocol::Grpc, "http://localhost:4317")]);
}

#[test]
fn each_signal_may_go_its_own_way() {
    let common = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317/base");
    let ways = ways(&[
        common,
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://other:4318/as/it/is"),
    ]);
    let own = way(Protocol::Http, "http://other:4318/as/it/is");
    assert_eq!(ways, [way(Protocol::Grpc, common.1), own]);
}

#[test]
fn each_signals_endpoint_says_whether_it_is_over_tls() {
    let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let settings = read(&[
        grpc,
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "HTTPS://collector:4317"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://collector:4317"),
    ])
    .unwrap();
    assert!(settings.traces.unwrap().is_tls());
    assert!(!settings.metrics.unwrap().is_tls());
}

#[test]
fn each_signal_has_its_own_headers_and_compression_or_the_common_ones() {
    let has = |variables: &[(&str, &str)]| {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        let settings = read(&[variables, &[endpoint]].concat()).unwrap();
        let told = |it: &Destination| (it.headers.names().join(","), it.gzip);
        (told(settings.traces.as_ref().unwrap()), told(settings.metrics.as_ref().unwrap()))
    };
    let common =
        [("OTEL_EXPORTER_OTLP_HEADERS", "token=1"), ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")];
    let both = (("token".to_owned(), true), ("token".to_owned(), true));
    assert_eq!(has(&common), both);
    // Empty is as if it were not set.
    let empty = [common[0], common[1], ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "")];
    assert_eq!(has(&empty), both);
    let own = [
        common[0],
        common[1],
        ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "tenant=2"),
        ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "none"),
    ];
    assert_eq!(has(&own), (("token".to_owned(), true), ("tenant".to_owned(), false)));
}

#[test]
fn the_standard_switch_ends_all_of_it() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
    for word in ["true", "True", "TRUE"] {
        let settings = read(&[endpoint, ("OTEL_SDK_DISABLED", word)]).unwrap();
        assert_eq!(settings, OtelSettings::default(), "{word}");
    }
    let none =
        [endpoint, ("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "prometheus")];
    let settings = read(&none).unwrap();
    assert_eq!((settings.traces, settings.metrics), (None, None));
}

#[test]
fn the_queue_follows_its_variables() {
    let queue = read(&[
        ("OTEL_BSP_MAX_QUEUE_SIZE", "10"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "20"),
        ("OTEL_BSP_SCHEDULE_DELAY", "30"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "40"),
    ])
    .unwrap()
    .queue;
    assert_eq!((queue.spans, queue.batch), (10, 10));
    let (delay, time) = (Duration::from_millis(30), Duration::from_millis(40));
    assert_eq!((queue.delay, queue.export_timeout), (delay, time));
}

#[test]
fn metrics_follow_theirs() {
    let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    for (word, temporality) in [
        ("cumulative", Temporality::Cumulative),
        ("Delta", Temporality::Delta),
        ("LOWMEMORY", Temporality::LowMemory),
    ] {
        assert_eq!(read(&[(name, word)]).unwrap().push.temporality, temporality);
    }
    let times = [("OTEL_METRIC_EXPORT_INTERVAL", "10"), ("OTEL_METRIC_EXPORT_TIMEOUT", "20")];
    let push = read(&times).unwrap().push;
    let (interval, timeout) = (Duration::from_millis(10), Duration::from_millis(20));
    assert_eq!((push.interval, push.timeout), (interval, timeout));
}

#[test]
fn each_signal_has_its_own_time_or_the_common_one() {
    let sending = |variables: &[(&str, &str)]| {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        let settings = read(&[variables, &[endpoint]].concat()).unwrap();
        [settings.traces, settings.metrics].map(|it| it.unwrap().timeout.as_millis())
    };
    let common = ("OTEL_EXPORTER_OTLP_TIMEOUT", "30");
    assert_eq!(sending(&[]), [10_000, 10_000]);
    assert_eq!(sending(&[common]), [30, 30]);
    let own = ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "40");
    assert_eq!(sending(&[common, own]), [30, 40]);
    assert_eq!(sending(&[own]), [10_000, 40]);
}

#[test]
fn every_fault_is_told_and_names_its_variable() {
    let wrong = [
        ("OTEL_SDK_DISABLED", "yes"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_TRACES_EXPORTER", "jaeger"),
        ("OTEL_METRICS_EXPORTER", "statsd"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
        ("OTEL_PROPAGATORS", "b3"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "0"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "-1"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "since lunch"),
        (
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
            "base2_exponential_bucket_histogram",
        ),
    ];
    let faults = read(&wrong).unwrap_err();
    assert_eq!(faults.len(), wrong.len(), "{faults:#?}");
    for (name, _) in wrong {
        assert!(faults.iter().any(|fault| fault.starts_with(name)), "{name}: {faults:#?}");
    }
}

#[test]
fn a_ratio_needs_its_number() {
    let faults = read(&[("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")]).unwrap_err();
    assert_eq!(faults, ["OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1"]);
    let good = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.01")];
    assert!(read(&good).is_ok());
}

#[test]
fn a_collector_may_repeat_what_only_it_was_told() {
    let told = |endpoint: &str, headers: &str| {
        let headers = ("OTEL_EXPORTER_OTLP_HEADERS", headers);
        let settings = read(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint), headers]);
        settings.unwrap().traces.unwrap().may_hold_secret()
    };
    for usual in ["http://otel:4317", "http://otel:4318/v1/traces/", "https://otel:4318/v1/traces"]
    {
        assert!(!told(usual, ""), "{usual}");
        assert!(told(usual, "api-key=one"), "{usual}");
    }
    for telling in ["http://jo:one@otel:4317", "http://otel/v1/traces?key=one", "http://otel/one"] {
        assert!(told(telling, ""), "{telling}");
    }
}
