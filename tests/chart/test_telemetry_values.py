"""OpenTelemetry's variables: the chart takes what the program takes, but for what would show a secret."""

import re

import pytest

import helm
from both import chart_takes, program_takes
from helm import Values

TELEMETRY = [
    ("OTEL_SDK_DISABLED", "true"), ("OTEL_SDK_DISABLED", "yes"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "grpc://collector"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "500"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"), ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
    ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc"), ("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_TRACES_EXPORTER", "jaeger"),
    ("OTEL_METRICS_EXPORTER", "otlp,prometheus"), ("OTEL_METRICS_EXPORTER", "statsd"), ("OTEL_TRACES_SAMPLER", "parentbased_always_on"),
    ("OTEL_TRACES_SAMPLER", "sometimes"), ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
    ("OTEL_TRACES_SAMPLER_ARG", "1.5"), ("OTEL_PROPAGATORS", "baggage,tracecontext"), ("OTEL_PROPAGATORS", "b3"),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"), ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "/key.pem"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "0"), ("OTEL_BSP_SCHEDULE_DELAY", "5000"), ("OTEL_METRIC_EXPORT_INTERVAL", "-1"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "1000000"), ("OTEL_BSP_MAX_QUEUE_SIZE", "1000001"), ("OTEL_BSP_MAX_QUEUE_SIZE", "999999"),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100000"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100001"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0"),
    *((name, millis) for name in ("OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT", "OTEL_METRIC_EXPORT_INTERVAL",
                                  "OTEL_METRIC_EXPORT_TIMEOUT", "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT")
      for millis in ("1", "3599999", "3600000", "3600001", "9999999", "1e3", "0")),
    *(("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", word) for word in ("delta", "Cumulative", "LOWMEMORY", "since lunch")),
    *(("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", word)
      for word in ("explicit_bucket_histogram", "base2_exponential_bucket_histogram")),
    ("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_METRICS_EXPORTER", "otlp, none"), ("OTEL_PROPAGATORS", "b3, tracecontext"),
    ("OTEL_PROPAGATORS", "b3-tracecontext"), ("OTEL_TRACES_SAMPLER_ARG", "1e-3"), ("OTEL_TRACES_SAMPLER_ARG", "1e3"),
    ("OTEL_TRACES_SAMPLER_ARG", "9.9e-1"), ("OTEL_TRACES_SAMPLER_ARG", "1.0"), ("OTEL_TRACES_SAMPLER_ARG", "1.01"),
    ("OTEL_TRACES_SAMPLER_ARG", ".5"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:65535"),
    ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://collector:65536"), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://[fd00::1]:4318/v1/traces"),
    *(("OTEL_RESOURCE_ATTRIBUTES", text)
      for text in ("team=shop", "team=a%2Cb, k8s.pod.name = x=y ,", "team", "=shop", "team=%ff", "team=%C3%A4", "team=ä", "%2C=1", "a=,b=")),
    *(("OTEL_SPAN_LINK_COUNT_LIMIT", text) for text in ("1", "128", "1000", "1001", "0", "many")),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "0"), ("OTEL_SPAN_EVENT_COUNT_LIMIT", "7"),
]
# The program takes these, and everybody who may read the pod would read the secret in them.
TELLTALE = [
    "http://user:hunter2@collector:4318", "http://hunter2@collector:4318", "https://collector/v1/traces?token=hunter2",
    "https://collector?token=hunter2", "https://collector/#hunter2", "https://collector/hunter2@", "https://collector:hunter2",
]


@pytest.mark.parametrize(("name", "text"), TELEMETRY)
def test_opentelemetrys_variables(name, text):
    assert chart_takes(openTelemetry={name: text}) == program_takes({name: text}, "OTEL_")


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"])
@pytest.mark.parametrize("url", TELLTALE)
def test_an_endpoint_with_a_secret_is_refused_and_not_repeated(url, name):
    told = helm.refusal(Values("gateway", {"openTelemetry": {name: url}}))
    assert f"at '/openTelemetry/{name}': value must be" in told and "openTelemetryHeadersSecret" in told
    assert "hunter2" not in told


def test_a_misspelt_variable_of_opentelemetry_is_refused():
    # The program would pass over it in silence.
    for name in ("OTEL_EXPORTER_OTLP_ENDPIONT", "OTEL_BSP_MAX_QUEUE", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "otel_sdk_disabled"):
        assert f"at '/openTelemetry/{name}': value must be 'left out" in helm.refusal(Values("gateway", {"openTelemetry": {name: "1"}}))


def test_every_variable_that_the_documents_name_is_known():
    text = (helm.ROOT / "docs/TELEMETRY.md").read_text().split("## Exporting")[1]
    names = set(re.findall(r"`(OTEL_[A-Z_]+)`", text))
    assert len(names) > 30
    for name in names:
        told = helm.template(Values("gateway", {"openTelemetry": {name: "?"}})).stderr
        assert "knows no such variable" not in told, name
