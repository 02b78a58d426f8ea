"""The sets of values that the chart is rendered with."""

from helm import IMAGES, Values

EVERYTHING = {
    "podMonitor": {"enabled": True},
    "prometheusRule": {"enabled": True},
    "dashboard": {"enabled": True},
    "reconciler": {"enabled": True, "replicas": 2},
    "networkPolicy": {"enabled": True, "callers": [{"podSelector": {}}]},
    "commonLabels": {"team": "payments"},
    "settings": {"callsInFlight": 64, "drainSeconds": 40},
    "openTelemetry": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"},
    "policy": {"files": {"rules.cedar": "permit (principal, action, resource);\n"},
               "candidate": {"files": {"rules.cedar": "forbid (principal, action, resource);\n"}}},
}
STORE = {
    "store": {"url": "redis+sentinel://a,b/main", "passwordSecret": {"name": "redis"},
              "caConfigMap": {"name": "redis-ca"}},
    "zentra": {"keySecret": {"name": "zentra"}, "proxy": "http://proxy:3128"},
    "fingerprint": {"secret": {"name": "prints"}},
}
GATEWAY = {"mode": "gateway", "gateway": {"tls": {
    "secretName": "tls", "trustDomain": "example.org", "allowedIds": ["spiffe://example.org/ns/shop/*"]}}}

SETS = {
    "defaults": Values(),
    "include": Values(changes={**IMAGES, **STORE}),
    "include with everything": Values(changes={**IMAGES, **STORE, **EVERYTHING}),
    "gateway": Values(changes={**IMAGES, **STORE, **GATEWAY}),
    "gateway with everything": Values(changes={**IMAGES, **STORE, **EVERYTHING, **GATEWAY}),
    "gateway as in the example": Values("gateway"),
    "gateway by digest, over IPv6": Values(changes={
        **STORE, "mode": "gateway", "image": {**IMAGES["image"], "digest": "sha256:" + "a" * 64},
        "gateway": {**GATEWAY["gateway"], "bindAddress": "[::]", "preStopSleepSeconds": 0,
                    "podDisruptionBudget": {"enabled": False}}}),
    "inject as in the example": Values("inject"),
    "inject with everything": Values("inject", changes={**STORE, **EVERYTHING}),
    "trial": Values("trial", changes=IMAGES),
    "another name": Values("trial", changes={**IMAGES, "fullnameOverride": "pay"}),
}


def for_version(values: Values, version: str) -> Values:
    """The same values for a Kubernetes version, with what it serves of mutating policies."""
    minor = int(version.split(".")[1])
    beta = values.example == "inject" and minor < 36
    changes = {**values.changes}
    if beta:
        changes = {**changes, "inject": {**changes.get("inject", {}), "allowBeta": True}}
    return Values(values.example, changes, version, "v1beta1" if beta else "v1", values.release)


def possible(values: Values, version: str) -> bool:
    """Kubernetes 1.33 has no mutating policies that the chart could use."""
    return not (values.example == "inject" and version.startswith("1.33"))
