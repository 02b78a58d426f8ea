"""The sets of values that the chart is rendered with."""

from helm import IMAGES, Values

EVERYTHING = {
    "podMonitor": {"enabled": True},
    "prometheusRule": {"enabled": True},
    "dashboard": {"enabled": True},
    "reconciler": {"enabled": True, "replicas": 2, "podLabels": {"tier": "back"}},
    "networkPolicy": {"enabled": True, "callers": [{"podSelector": {}}], "store": {"ports": [6379]},
                      "monitoring": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}],
                      "zentra": {"to": [{"podSelector": {"matchLabels": {"app": "proxy"}}}]},
                      "telemetry": {"to": [{"podSelector": {"matchLabels": {"app": "collector"}}}]}},
    "commonLabels": {"team": "payments", "tier": "all"},
    "settings": {"callsInFlight": 64, "drainSeconds": 40},
    "openTelemetry": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"},
    "openTelemetryHeadersSecret": {"name": "collector"},
    "policy": {"files": {"rules.cedar": "permit (principal, action, resource);\n"},
               "candidate": {"files": {"rules.cedar": "forbid (principal, action, resource);\n"}}},
}
STORE = {
    "store": {"url": "redis+sentinel://a,b/main", "passwordSecret": {"name": "redis"},
              "caConfigMap": {"name": "redis-ca"}},
    "zentra": {"keySecret": {"name": "zentra"}, "proxy": "http://proxy:3128", "caConfigMap": {"name": "egress-ca"}},
    "fingerprint": {"secret": {"name": "prints"}},
}
GATEWAY = {"mode": "gateway", "gateway": {"tls": {
    "secretName": "tls", "trustDomain": "example.org", "allowedIds": ["spiffe://example.org/ns/shop/*"]}}}
KEYS = {"zentra": {"keySecret": {"name": "zentra"}}, "fingerprint": {"secret": {"name": "zentra"}}}

REQUIRED, PREFERRED = ("requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution")
NEIGHBOURS = {"labelSelector": {"matchLabels": {"app": "checkout"}, "matchExpressions": [{"key": "tier", "operator": "Exists"}]},
              "topologyKey": "topology.kubernetes.io/zone", "namespaces": ["shop"], "namespaceSelector": {},
              "matchLabelKeys": ["pod-template-hash"]}
# Where the chart's own pods may run, in every form.
PLACEMENT = {
    "serviceAccountName": "payments",
    "priorityClassName": "1e3",
    "podLabels": {"tier": "back"},
    "podAnnotations": {"traffic.sidecar.istio.io/excludeInboundPorts": "9464", "Example.org/note": "anything: at all"},
    "nodeSelector": {"kubernetes.io/os": "linux", "pool": ""},
    "tolerations": [{"operator": "Exists"}, {"key": "payments", "operator": "Equal", "value": "only", "effect": "NoSchedule"},
                    {"key": "example.org/spot", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}, {"key": "b"}],
    "affinity": {
        "nodeAffinity": {
            REQUIRED: {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64", "arm64"]},
                                      {"key": "example.org/cores", "operator": "Gt", "values": ["3"]}, {"key": "spot", "operator": "DoesNotExist"}]},
                {"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["node-1.example.org"]}]}]},
            PREFERRED: [{"weight": 100, "preference": {"matchExpressions": [{"key": "pool", "operator": "Exists"}]}}]},
        "podAffinity": {PREFERRED: [{"weight": 1, "podAffinityTerm": NEIGHBOURS}]},
        "podAntiAffinity": {REQUIRED: [NEIGHBOURS]}},
}

# What YAML takes for a number or a truth value where it is not quoted; all of them good names.
WORDS = {
    "zentra": {"keySecret": {"name": "no", "key": "1e3"}, "caConfigMap": {"name": "off", "key": "null"}},
    "fingerprint": {"secret": {"name": "123", "key": "yes"}},
    "store": {"url": "redis://store", "passwordSecret": {"name": "1e3", "key": "no"},
              "caConfigMap": {"name": "on", "key": "0x10"}},
    "openTelemetryHeadersSecret": {"name": "true", "key": "1e3"},
    "image": {**IMAGES["image"], "pullSecrets": ["123", "no"]},
    "commonLabels": {"team": "1e3"},
    "account": "1e3",
    "policy": {"existingConfigMap": "1e3"},
    "dashboard": {"enabled": True},
    "prometheusRule": {"enabled": True},
    "networkPolicy": {"enabled": True, "callers": [{"podSelector": {}}], "monitoring": [{"podSelector": {}}]},
    "reconciler": {"enabled": True},
    "podMonitor": {"enabled": True, "labels": {"release": "1e3"}},
}
WORDS_GATEWAY = {"mode": "gateway", "gateway": {"podLabels": {"app": "y"}, "tls": {
    "secretName": "1e3", "certificateKey": "no", "privateKeyKey": "yes", "trustDomain": "1e3",
    "clientCA": {"secretName": "on", "key": "1e3"}, "allowedIds": ["spiffe://1e3/*"]}}}
WORDS_INJECT = {"inject": {"namespaces": ["no", "123"], "profiles": {"1e3": {}, "no": {}}}}

SETS = {
    "defaults": Values(),
    "include": Values(changes={**IMAGES, **STORE}),
    "include with words for names": Values(changes=WORDS, release="1e3"),
    "include with everything": Values(changes={**IMAGES, **STORE, **EVERYTHING}),
    "gateway": Values(changes={**IMAGES, **STORE, **GATEWAY}),
    "gateway with everything": Values(changes={**IMAGES, **STORE, **EVERYTHING, **GATEWAY}),
    "gateway as in the example": Values("gateway"),
    "gateway with the least": Values("gateway-small"),
    "gateway with a place": Values("gateway", changes={"gateway": PLACEMENT, "reconciler": PLACEMENT}),
    "inject with a place": Values("inject", changes={"reconciler": {"enabled": True, **PLACEMENT}}),
    "gateway by digest, over IPv6": Values(changes={
        **STORE, "mode": "gateway", "image": {**IMAGES["image"], "digest": "sha256:" + "a" * 64},
        "gateway": {**GATEWAY["gateway"], "bindAddress": "[::]", "preStopSleepSeconds": 0,
                    "podDisruptionBudget": {"enabled": False}}}),
    "gateway with the trial's Redis": Values(changes={**IMAGES, **KEYS, **GATEWAY, "trialRedis": {"enabled": True}}),
    "gateway with words for names": Values(changes={**WORDS, **WORDS_GATEWAY}, release="1e3"),
    "gateway that is called no": Values(changes={**WORDS, **WORDS_GATEWAY, "fullnameOverride": "no"}, release="no", namespace="1e3"),
    "inject as in the example": Values("inject"),
    "inject with everything": Values("inject", changes={**STORE, **EVERYTHING}),
    "inject with the trial's Redis": Values("inject", changes={"store": {"url": ""}, "trialRedis": {"enabled": True}}),
    "inject with words for names": Values("inject", changes={**WORDS, **WORDS_INJECT}, release="no", namespace="123"),
    "trial": Values("trial", changes=IMAGES),
    "another name": Values("trial", changes={**IMAGES, "fullnameOverride": "pay"}),
    "trial with a word for a name": Values("trial", changes={**IMAGES, "image": WORDS["image"]}, release="1e3", namespace="123"),
    "a name with dots": Values("trial", changes=IMAGES, release="1.2.three"),
}


def for_version(values: Values, version: str) -> Values:
    """The same values for a Kubernetes version, with what it serves of mutating policies."""
    minor = int(version.split(".")[1])
    beta = values.example == "inject" and minor < 36
    changes = {**values.changes}
    if beta:
        changes = {**changes, "inject": {**changes.get("inject", {}), "allowBeta": True}}
    return Values(values.example, changes, version, "v1beta1" if beta else "v1", values.release, values.namespace)


def possible(values: Values, version: str) -> bool:
    """Kubernetes 1.33 has no mutating policies that the chart could use."""
    return not (values.example == "inject" and version.startswith("1.33"))
