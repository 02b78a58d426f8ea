"""What the program would refuse at its start, the chart refuses before it: both are asked."""

import pytest

import helm
from both import chart_takes, program_takes
from helm import IMAGES, Values
from matrix import GATEWAY, KEYS
from schema_rules import place, values_of

ZENTRA = [
    "https://api.example.org", "https://api.example.org/", "https://api.example.org:8443", "https://203.0.113.9",
    "https://[2001:db8::9]:443", "http://127.0.0.1:8089", "http://localhost", "http://[::1]:1",
    "http://api.example.org", "http://10.0.0.1", "https://user@host", "https://user:word@host", "https://host/path", "https://host?q=1",
    "https://host#part", "ftp://host", "host", "https://", "https://169.254.169.254", "https://169.254.1.1:443",
    "https://[fe80::1]", "https://[febf::1]", "https://0.0.0.0", "https://[::]", "https://[fd00:ec2::254]",
    "https://[::ffff:169.254.169.254]", "https://0xa9fea9fe", "https://2852039166", "https://0251.0376.0251.0376",
    "https://metadata.google.internal", "https://METADATA.google.internal.", "https://metadata", "https://100.100.100.200",
    "https://metadata.goog", "https://instance-data", "https://192.0.0.192",
    *(f"https://[{address}]" for address in (
        "0:0:0:0:0:0:0:0", "0::0", "0:0:0:0:0:ffff:169.254.169.254", "::ffff:a9fe:a9fe", "::ffff:1.2.3.4", "::ffff:7f00:1", "::a9fe:a9fe",
        "::169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b::169.254.169.254", "64:ff9b::1.2.3.4", "64:ff9b:1::a9fe:a9fe", "::100.100.100.200",
        "fd00:ec2:0:0:0:0:0:254", "fd00:0ec2::0254", "fd00:ec2::1254", "fd00:ec2:1::254", "fe7f::1", "fe9::1", "FE80::1", "fec0::1", "2002:a9fe:a9fe::1")),
    "https://169.254.1.1.", "https://192.0.0.192.", "https://100.100.100.201", "https://0.0.0.1", "https://foo.metadata.google.internal",
    "https://api.example.org:65535", "https://api.example.org:65536", "https://api.example.org:99999", "http://127.0.0.1:70000",
]
STORES = [
    "redis://host", "rediss://app@host:6380/2", "redis://host?db=3", "redis://[fd00::1]:6379/0", "redis+sentinel://a,b:26380/main",
    "rediss+sentinel://app@a/main?db=1&sentinel_auth=true", "redis+cluster://a,b,c", "rediss+cluster://a:7000/0",
    "redis+sentinel://a,b", "redis+sentinel://a/", "redis+sentinel://a/main/2", "redis://a,b", "redis://host/-1", "redis://host/x",
    "redis://host:0", "redis://", "redis://user:word@host", "redis://:word@host", "redis+cluster://a/1", "redis+cluster://a?db=2",
    "redis://host?password=word", "redis://host?db=a", "redis+sentinel://a/main?sentinel_auth=maybe", "http://host", "redis+other://host",
    "redis://host:65535", "redis://host:65536", "redis://[fd00::1]:99999", "redis+sentinel://a:26379,b:70000/main", "rediss+cluster://a:70000",
]
PROXIES = [
    "http://proxy:3128", "https://proxy", "http://10.0.0.1:80/", "http://[fd00::1]:3128",
    "http://user@proxy", "http://user:word@proxy", "http://proxy/path", "http://proxy?x", "socks5://proxy", "proxy:3128", "http://",
    "http://proxy:65535", "http://proxy:65536", "http://10.0.0.1:99999",
]
IDS = [
    "spiffe://example.org/ns/shop/sa/checkout", "spiffe://example.org/ns/shop/*", "spiffe://example.org/*", "spiffe://example.org/..a/.b",
    "spiffe://example.org", "spiffe://example.org/", "spiffe://example.org/ns//sa", "spiffe://example.org/ns/../sa", "spiffe://example.org/.",
    "spiffe://example.org/ns/*/sa", "spiffe://example.org/ns/sh*", "spiffe://example.org/ns/shöp", "spiffe://example.org/ns/shop/",
    "spiffe://Example.org/ns", "spiffe://other.org/ns/shop", "example.org/ns/shop", "spiffe://example.org/ns,spiffe://a/b,c",
]
HOSTS = [
    "[2001:db8::1]", "[::]", "[::1]", "[1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7::]", "[::2:3:4:5:6:7:8]", "[2001:db8::192.0.2.1]", "[1::8]",
    "[::::]", "[:]", "[2001:db8:::1]", "[12345::]", "[1:2:3:4:5:6:7:8:9]", "[1:2:3:4:5:6:7]", "[1::2::3]", "[:1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7:]",
    "[1.2.3.4]", "[2001:db8::192.0.2.256]", "[1:2:3:4:5:6:7:1.2.3.4]",
    "192.0.2.1", "host.7a", "7.host", "999.1.1.1", "1.2.3.4.5", "a.1", "a.0x1", "redis-0.redis", "1-2",
]
FILTERS = [
    "info", "INFO", "off", "3", "zentra_sidecar=debug", "warn,zentra_sidecar::engine=trace", "zentra_sidecar[call{id=3}]=debug",
    "[call]=debug", "info, warn", "zentra_sidecar=", "zentra_sidecar=debg", "zentra_sidecar=9", "=info", "a=b=c", "a= info", "[call",
]
NAMES = [
    "default", "a", "A.b_c:d-e", "a" * 128, "a.", "a" * 129, "a..b", "-a", ".a", "a b", "a/b", "ä", "a/b/c", "a//b", "a/", "a/-b",
]


@pytest.mark.parametrize("url", ZENTRA)
def test_an_address_of_zentra(url):
    assert chart_takes(zentra={"url": url}) == program_takes({"ZENTRA_URL": url}, "ZENTRA_URL")


@pytest.mark.parametrize("url", STORES)
def test_an_address_of_the_store(url):
    assert chart_takes(store={"url": url}) == program_takes({"SIDECAR_STORE": url}, "--store ")


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_looks_like_a_number(host):
    assert chart_takes(zentra={"proxy": f"http://{host}:3128"}) == program_takes(
        {"SIDECAR_ZENTRA_PROXY": f"http://{host}:3128", "ZENTRA_URL": "https://api.example.org"}, "--zentra-proxy")
    assert chart_takes(store={"url": f"redis://app@{host}:6379"}) == program_takes({"SIDECAR_STORE": f"redis://app@{host}:6379"}, "--store ")
    assert chart_takes(openTelemetry={"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{host}:4318"}) == program_takes(
        {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{host}:4318"}, "OTEL_")


@pytest.mark.parametrize("url", PROXIES)
def test_an_address_of_a_proxy(url):
    assert chart_takes(zentra={"proxy": url}) == program_takes({"SIDECAR_ZENTRA_PROXY": url, "ZENTRA_URL": "https://api.example.org"}, "--zentra-proxy")


@pytest.mark.parametrize("pattern", IDS)
def test_who_may_call(pattern):
    tls = {**GATEWAY["gateway"]["tls"], "allowedIds": [pattern]}
    assert chart_takes(gateway={"tls": tls}) == program_takes({"SIDECAR_TLS_ALLOWED_IDS": pattern}, "--tls-allowed-ids")


@pytest.mark.parametrize("path", [(), ("inject", "profiles", "live")], ids=["chart", "profile"])
@pytest.mark.parametrize(("value", "url"), [
    (("store", "url"), "redis://app:hunter2@store"), (("store", "url"), "redis://store?password=hunter2"),
    (("zentra", "proxy"), "http://app:hunter2@proxy:3128"), (("zentra", "url"), "https://hunter2@api.example.org"),
])
def test_an_address_with_a_password_is_refused_and_not_repeated(value, url, path):
    told = helm.refusal(Values("inject", values_of([((*path, *value), url)])))
    assert f"{place((*path, *value))}: value must be 'an address such as" in told and "without a " in told
    # Neither the password nor the expression that found it.
    assert "hunter2" not in told and "[A-Z" not in told


@pytest.mark.parametrize("text", FILTERS)
def test_a_log_filter(text):
    assert helm.template(Values("gateway", {"log": text})).returncode == (0 if program_takes({"SIDECAR_LOG": text}, "SIDECAR_LOG") else 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("changes", "variable"), [
    (lambda name: {"account": name}, "SIDECAR_ACCOUNT"), (lambda name: {"sidecar": {"caller": name}}, "SIDECAR_CALLER")],
    ids=["account", "caller"])
def test_a_name_in_the_scope_of_keys(changes, variable, name):
    takes = program_takes({variable: name}, variable)
    assert (helm.template(Values("gateway", changes(name))).returncode == 0) == takes


def test_a_policy_without_rules_is_refused():
    limits = {"policy": {"files": {"limits.toml": "# No limits yet.\n"}}}
    told = helm.refusal(Values(changes={**IMAGES, **KEYS, **GATEWAY, "store": {"url": "redis://store"}, **limits}))
    assert "policy.files holds no rules" in told
    assert "at '/policy/files/limit.toml': value must be 'left out: a policy has files" in helm.refusal(Values("gateway", {"policy": {"files": {"limit.toml": "x"}}}))


@pytest.mark.parametrize(("lease", "connect"), [(10, 1000), (3, 1000), (2, 1000), (10, 3333), (10, 3334), (None, 4000), (2, None)])
def test_a_lease_outlives_three_connections(lease, connect):
    settings = {"leaseSeconds": lease, "connectTimeoutMs": connect}
    settings = {name: number for name, number in settings.items() if number is not None}
    variables = {"SIDECAR_LEASE_SECONDS": lease, "SIDECAR_CONNECT_TIMEOUT_MS": connect}
    variables = {name: str(number) for name, number in variables.items() if number is not None}
    assert chart_takes(settings=settings) == program_takes(variables, "--lease-seconds")


def test_what_the_program_would_refuse_is_told_by_name_and_profile():
    told = helm.refusal(Values("inject", {"inject": {"profiles": {
        "live": {"settings": {"leaseSeconds": 2}, "zentra": {"url": "https://169.254.169.254"}},
        "sandbox": {"openTelemetry": {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}}}}}))
    assert "inject.profiles.live: settings.leaseSeconds must be at least three times settings.connectTimeoutMs (where they are left out, 10 s and 1000 ms)" in told
    assert "inject.profiles.live: zentra.url must not be a link-local or cloud metadata address" in told
    assert "inject.profiles.sandbox: openTelemetry.OTEL_TRACES_SAMPLER_ARG is required" in told


@pytest.mark.parametrize(("resources", "told"), [
    ({"requests": {"memory": "129Mi"}}, "resources.requests.memory must not be above resources.limits.memory"),
    ({"requests": {"memory": "1G"}, "limits": {"memory": "0.9Gi"}}, "resources.requests.memory"),
    ({"requests": {"cpu": 0.5}, "limits": {"cpu": "400m"}}, "resources.requests.cpu must not be above"),
    ({"requests": {"memory": 200000000}}, "resources.requests.memory"),
    ({"requests": {"cpus": 1}}, "additional properties 'cpus' not allowed"),
    ({"limits": {"memroy": "1Gi"}}, "additional properties 'memroy' not allowed"),
    ({"requests": {"cpu": -1}}, "minimum: got -1, want 0"),
    ({"requests": {"cpu": "-1"}}, "at '/resources/requests/cpu'"),
    # A thousandth of a byte, and cores by the million.
    ({"limits": {"memory": "128m"}}, "at '/resources/limits/memory': value must be 'a number of bytes such as 128Mi'"),
    ({"limits": {"memory": 0.5}}, "at '/resources/limits/memory': got number, want integer"),
    ({"limits": {"cpu": "1M"}}, "at '/resources/limits/cpu': value must be 'a number of cores such as 500m or 0.5'"),
    ({"requests": {"cpu": "0.0005"}}, "at '/resources/requests/cpu': value must be"),
])
def test_resources_that_no_pod_could_have(resources, told):
    assert told in helm.refusal(Values("gateway", {"resources": resources}))


@pytest.mark.parametrize("resources", [
    {"requests": {"cpu": "100m"}, "limits": {"cpu": 0.1}}, {"requests": {"memory": "0.125Gi"}}, {"limits": {"memory": 134217728}},
    {"requests": {"ephemeral-storage": "1Mi", "cpu": "1"}, "limits": {"cpu": "1.5", "memory": "134217728"}},
])
def test_resources_that_a_pod_can_have(resources):
    helm.render(Values("gateway", {"resources": resources}))


def test_the_trial_has_no_reconciler_and_its_redis_any_name():
    told = helm.refusal(Values("trial", {**IMAGES, "reconciler": {"enabled": True}}))
    assert "reconciler.enabled and trial.enabled exclude each other" in told
    for values in (Values("trial", IMAGES, release="first"), Values(changes={**IMAGES, **KEYS, **GATEWAY, "trialRedis": {"enabled": True}}, release="own")):
        rendered = helm.render(values)
        [service] = [it["metadata"] for it in rendered if it["kind"] == "Service" and it["metadata"]["name"].endswith("-redis")]
        stores = {it["value"] for _, pod in helm.pods(rendered) for container in helm.containers(pod)
                  for it in container.get("env", []) if it["name"] == "SIDECAR_STORE"}
        assert stores == {f"redis://{service['name']}.{service['namespace']}.svc:6379"}


def test_injected_pods_of_other_namespaces_reach_the_trials_redis():
    rendered = helm.render(Values("inject", {"store": {"url": ""}, "trialRedis": {"enabled": True}}))
    [ingress] = helm.one(rendered, "NetworkPolicy")["spec"]["ingress"]
    [expression] = next(it["namespaceSelector"] for it in ingress["from"] if "namespaceSelector" in it)["matchExpressions"]
    assert expression == {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["shop", "billing"]}


def test_a_fault_is_told_by_its_place_and_not_by_its_value():
    ids = ["spiffe://example.org/ns/shop/*", "spiffe://other.org/hunter2", "spiffe://third.org/hunter2"]
    block = {"ipBlock": {"cidr": "10.11.0.0/16", "except": ["10.11.1.0/24", "10.12.1.0/24"]}}
    told = helm.refusal(Values(changes={
        **IMAGES, **KEYS, **GATEWAY, "store": {"url": "redis://store"}, "settings": {"leaseSeconds": 7, "connectTimeoutMs": 2999},
        "resources": {"requests": {"memory": "931Mi"}, "limits": {"memory": "237Mi"}},
        "gateway": {"tls": {**GATEWAY["gateway"]["tls"], "allowedIds": ids}},
        "networkPolicy": {"enabled": True, "callers": [{"podSelector": {}}, block]}}))
    places = ["gateway.tls.allowedIds[1] ", "gateway.tls.allowedIds[2] ", "networkPolicy.callers[1].ipBlock.except[1] ",
              "settings.leaseSeconds ", "resources.requests.memory "]
    assert f"{len(places)} values are wrong" in told and [it for it in places if it not in told] == []
    assert [it for it in ("hunter2", "10.11", "10.12", "2999", "931", "237") if it in told] == []
