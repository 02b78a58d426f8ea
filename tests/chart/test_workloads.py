"""The gateway as a workload: how many pods, who may take them away, and where alerts lead."""

import yaml

import helm
from helm import CHART, Values

NAME = "trial-zentra-sidecar-gateway"


def gateway(**changes) -> list[dict]:
    return helm.render(Values("gateway", changes))


def test_with_an_autoscaler_nobody_else_says_how_many_pods_there_are():
    scaled = gateway()
    assert "replicas" not in helm.one(scaled, "Deployment", NAME)["spec"]
    target = helm.one(scaled, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", NAME)
    fixed = gateway(gateway={"autoscaling": {"enabled": False}, "replicas": 3})
    assert helm.one(fixed, "Deployment", NAME)["spec"]["replicas"] == 3
    assert "HorizontalPodAutoscaler" not in {it["kind"] for it in fixed}


def test_an_autoscaler_that_cannot_work_is_refused():
    bounds = {"gateway": {"autoscaling": {"minReplicas": 5, "maxReplicas": 4}}}
    assert "gateway.autoscaling.minReplicas must not be above maxReplicas" in helm.refusal(Values("gateway", bounds))
    share = {"resources": {"requests": {"cpu": None}}}
    assert "resources.requests.cpu is required with gateway.autoscaling" in helm.refusal(Values("gateway", share))
    gateway(gateway={"autoscaling": {"minReplicas": 4, "maxReplicas": 4}})


def test_where_pods_come_and_go_clients_look_for_them_soon():
    container = helm.sidecar(dict(helm.pods(gateway()))[NAME])
    ages = [int(it["value"]) for it in container["env"] if it["name"] == "SIDECAR_CONNECTION_AGE_SECONDS"]
    # The program's own half an hour would leave the pods that the autoscaler adds idle for as long.
    assert ages and max(ages) <= 300


def test_pods_that_are_not_ready_do_not_keep_a_node():
    spec = helm.one(gateway(), "PodDisruptionBudget")["spec"]
    assert (spec["maxUnavailable"], spec["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")


def test_runbooks_are_where_the_value_says():
    written = [rule["annotations"]["runbook_url"] for rule in rules(yaml.safe_load((CHART / "files/alerts.yaml").read_text()))]
    for base in ("", "https://git.example.org/payments/raw/main/"):
        rendered = helm.one(gateway(prometheusRule={"enabled": True, "runbookBaseUrl": base}), "PrometheusRule")
        assert [rule["annotations"]["runbook_url"] for rule in rules(rendered["spec"])] == [base + it for it in written]
    assert "/prometheusRule/runbookBaseUrl" in helm.refusal(Values("gateway", {"prometheusRule": {"runbookBaseUrl": "git.example.org"}}))


def rules(spec: dict) -> list[dict]:
    return [rule for group in spec["groups"] for rule in group["rules"] if "alert" in rule]


def test_the_headers_of_the_collector_are_no_variable():
    for name in ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_METRICS_HEADERS"):
        told = helm.refusal(Values("gateway", {"openTelemetry": {name: "token=abc"}}))
        assert f"at '/openTelemetry/{name}': value must be 'left out here: openTelemetryHeadersSecret names" in told
