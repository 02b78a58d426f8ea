"""values.schema.json: each of its rules refuses, with the name of the value in the message."""

import json
import re

import pytest

import helm
import schemas
from helm import CHART, IMAGES, Values
from matrix import GATEWAY, STORE

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
# The program's own values stand at the top and in each profile.
PROFILE = ("inject", "profiles", "live")
# Names that fit a rule about names: the first one stands for it.
NAMES = ["rules.cedar", "OTEL_SERVICE_NAME", "OTEL_SDK_DISABLED", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL",
         "OTEL_EXPORTER_OTLP_COMPRESSION", "OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_TRACES_SAMPLER",
         "OTEL_TRACES_SAMPLER_ARG", "OTEL_PROPAGATORS", "OTEL_BSP_SCHEDULE_DELAY", "OTEL_EXPORTER_OTLP_HEADERS", "team",
         "zentra.io/inject"]
# Names that no map takes: in a map of names of one's own, the second one.
UNKNOWN = ["noSuchValue", "-noSuchValue"]


def resolve(schema: dict) -> dict:
    while "$ref" in schema:
        found = SCHEMA
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def breaches(schema: dict, path: tuple = ()):
    """For each rule of the schema, a path and a value that only this rule refuses."""
    schema = resolve(schema)
    if "anyOf" in schema:
        yield path, True
        # A number that is allowed may still be out of bounds, and a text of the wrong form.
        for one in schema["anyOf"]:
            yield from (breach for breach in breaches(one, path) if type(breach[1]) in (int, str)
                        and not (one.get("type") in ("integer", "number") and isinstance(breach[1], str))
                        and not (one.get("type") == "string" and isinstance(breach[1], int)))
        return
    if "enum" in schema or "const" in schema:
        yield path, "nonsense"
        return
    kind = schema["type"]
    yield path, {"object": "a text", "array": "a text", "string": 7, "integer": "a text",
                 "number": "a text", "boolean": "a text"}[kind]
    if kind == "string":
        if "pattern" in schema:
            yield path, next(text for text in (" \\ not \" this", "==") if not re.search(schema["pattern"], text))
        if "minLength" in schema:
            yield path, ""
        if "maxLength" in schema:
            yield path, "a" * (schema["maxLength"] + 1)
    if kind == "integer":
        if "minimum" in schema:
            yield path, schema["minimum"] - 1
        if "maximum" in schema:
            yield path, schema["maximum"] + 1
        yield path, 1.5
    if kind == "number" and "minimum" in schema:
        yield path, schema["minimum"] - 1
    if kind == "array":
        yield from ((p[:-1], [v]) for p, v in breaches(schema["items"], (*path, 0)) if len(p) == len(path) + 1)
        if "minItems" in schema:
            yield path, []
        if "maxItems" in schema:
            yield path, [f"spiffe://example.org/{number}" for number in range(schema["maxItems"] + 1)]
        if schema.get("uniqueItems"):
            item = 443 if resolve(schema["items"])["type"] == "integer" else "spiffe://a/b" if "maxItems" in schema else "twice"
            yield path, [item, item]
    if kind == "object":
        yield from object_breaches(schema, path)


def object_breaches(schema: dict, path: tuple):
    if schema.get("minProperties"):
        yield path, {}
    if schema.get("additionalProperties") is False:
        yield (*path, next(name for name in UNKNOWN if not fits(schema, name))), "x"
    if "propertyNames" in schema:
        yield (*path, "Not_A_Name"), {}
    for name, property_ in schema.get("properties", {}).items():
        yield from breaches(property_, (*path, name))
    for written, property_ in schema.get("patternProperties", {}).items():
        yield from breaches(property_, (*path, next(name for name in NAMES if re.search(written, name))))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from breaches(schema["additionalProperties"], (*path, "live" if path == PROFILE[:2] else "example"))


def fits(schema: dict, name: str) -> bool:
    return any(re.search(pattern, name) for pattern in schema.get("patternProperties", {}))


BREACHES = list({json.dumps(it): it for it in breaches(SCHEMA) if it[0]}.values())


def batches() -> list[list[tuple]]:
    """The breaches in few sets of values, in each of which no two are in each other's way."""
    made: list[list[tuple]] = []
    for breach in BREACHES:
        batch = next((it for it in made if not any(overlap(breach[0], path) for path, _ in it)), None)
        if batch is None:
            made.append(batch := [])
        batch.append(breach)
    return made


def overlap(one: tuple, other: tuple) -> bool:
    return other[:len(one)] == one[:len(other)]


def test_every_rule_refuses_and_names_the_value():
    wrong = []
    for batch in batches():
        values: dict = {}
        for path, value in batch:
            inner = values
            for part in path[:-1]:
                inner = inner.setdefault(part, {})
            inner[path[-1]] = value
        told = helm.refusal(Values(changes=values))
        for path, value in batch:
            # Of an unknown value, the message names the place and the value; of a bad name, the name.
            steps = [str(step).replace("/", "~1") for step in path]
            place = "/" + "/".join(steps[:-1] if path[-1] in UNKNOWN else steps)
            named = {"Not_A_Name": ["Not_A_Name"], **{name: [f"at '{place.rstrip('/')}'", name] for name in UNKNOWN}}
            if not all(it in told for it in named.get(path[-1], [f"at '{place}"])):
                wrong.append((path, value, told))
    assert wrong == []
    assert len(BREACHES) > 300


# What is Kubernetes' own to check, and texts that may be anything.
FREE = {"/global", "/gateway/affinity", "/reconciler/affinity", "/gateway/tolerations/*", "/reconciler/tolerations/*"}


def without_rule(schema: dict, path: str):
    """The places where any value of a type would pass."""
    schema = resolve(schema)
    if path in FREE:
        return
    kind = schema.get("type")
    if kind == "object":
        closed = schema.get("additionalProperties")
        if closed is not False and not isinstance(closed, dict):
            yield path
        for name, property_ in schema.get("properties", {}).items():
            yield from without_rule(property_, f"{path}/{name}")
        if isinstance(closed, dict) and resolve(closed).get("type") != "string":
            yield from without_rule(closed, f"{path}/*")
    elif kind == "array":
        yield from without_rule(schema["items"], f"{path}/*")
    elif kind == "integer" and not {"minimum", "maximum"} <= schema.keys():
        yield path
    elif kind == "string" and not {"pattern", "minLength"} & schema.keys():
        yield path
    elif kind is None and not {"enum", "anyOf"} & schema.keys():
        yield path


def test_no_value_is_without_a_rule():
    assert list(without_rule(SCHEMA, "")) == []


@pytest.mark.parametrize(("peer", "told"), [
    # Kubernetes would drop what it does not know, and everybody might call.
    ({"podSelector": {"matchLabel": {"app": "shop"}}}, "additional properties 'matchLabel' not allowed"),
    ({"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "Is", "values": ["shop"]}]}}, "value must be one of 'In'"),
    ({"namespaceSelector": {"matchExpressions": [{"key": "team"}]}}, "missing property 'operator'"),
    ({"podSelector": {"matchLabels": {"app": 1}}}, "got number, want string"),
    ({"ipBlock": {"except": ["10.0.0.0/8"]}}, "missing property 'cidr'"),
    ({"ipBlock": {"cidr": "10.0.0.1"}}, "/ipBlock/cidr"), ({"ipBlock": {"cidr": "10.0.0.0/33"}}, "/ipBlock/cidr"),
    ({"ipBlock": {"cidr": "fd00::/129"}}, "/ipBlock/cidr"), ({"ipBlock": {"cidr": "::/0", "except": ["fd00"]}}, "/ipBlock/except/0"),
    ({"pods": {}}, "additional properties 'pods' not allowed"),
])
@pytest.mark.parametrize("where", ["callers", "monitoring"])
def test_a_peer_that_would_let_in_others_than_meant_is_refused(where, peer, told):
    assert told in helm.refusal(Values("gateway", {"networkPolicy": {where: [peer]}}))


def test_every_form_of_a_peer_is_taken():
    peers = [{"podSelector": {}}, {"podSelector": {"matchLabels": {"app": "shop"}}, "namespaceSelector": {}},
             {"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "In", "values": ["shop"]}, {"key": "pays", "operator": "Exists"}]}},
             {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}, {"ipBlock": {"cidr": "fd00::/8"}}, {"ipBlock": {"cidr": "::/0"}}]
    for thing in helm.render(Values("gateway", {"networkPolicy": {"callers": peers}})):
        schemas.validate(thing, "1.37.0")


def test_a_message_says_what_is_allowed():
    assert "value must be one of 'include', 'gateway', 'inject'" in helm.refusal(Values(changes={"mode": "sidecar"}))
    assert "additional properties 'replica' not allowed" in helm.refusal(Values(changes={"gateway": {"replica": 3}}))
    assert "maximum: got 70,000, want 65,536" in helm.refusal(Values(changes={"settings": {"callsInFlight": 70000}}))


def test_a_password_in_an_address_is_refused():
    for address in ("redis://user:word@host", "redis://:word@host"):
        assert "/store/url" in helm.refusal(Values(changes={"store": {"url": address}}))


@pytest.mark.parametrize("address", [
    "redis://host:6379", "rediss://user@host:6379/2", "redis+sentinel://a:26379,b/main?db=1",
    "rediss+cluster://a,b,c",
])
def test_every_form_of_a_store_is_taken(address):
    helm.render(Values(changes={**IMAGES, **STORE, **GATEWAY, "store": {"url": address}}))


def test_what_belongs_together_is_asked_for_all_at_once():
    told = helm.refusal(Values(changes={"mode": "gateway", "networkPolicy": {"enabled": True},
                                        "gateway": {"adminPort": 50051, "autoscaling": {"enabled": True, "minReplicas": 20}},
                                        "sidecar": {"adminPort": 50051},
                                        "policy": {"files": {"a.cedar": "x"}, "existingConfigMap": "other",
                                                   "candidate": {"files": {"a.cedar": "x"},
                                                                 "existingConfigMap": "other"}}}))
    for name in ("image.repository is", "zentra.keySecret.name is", "store.url is", "fingerprint.secret.name is",
                 "policy.files and", "policy.candidate.files and", "gateway.tls.secretName is", "gateway.tls.trustDomain is", "sidecar.port and",
                 "gateway.tls.allowedIds is", "gateway.port and", "minReplicas must", "networkPolicy.callers is"):
        assert name in told, name
    assert "13 values are wrong" in told


def test_a_policy_on_trial_stands_beside_a_policy():
    told = helm.refusal(Values(changes={**IMAGES, **STORE, **GATEWAY, "policy": {"candidate": {"existingConfigMap": "other"}}}))
    assert "policy.candidate stands beside a policy" in told


def test_injection_asks_for_what_each_profile_lacks():
    told = helm.refusal(Values(changes={"mode": "inject", **IMAGES, "inject": {"profiles": {
        "live": {"store": {"url": "redis://live"}}, "sandbox": {}}}}))
    assert "inject.namespaces is required" in told
    assert "inject.profiles.live: zentra.keySecret.name is required" in told
    assert "inject.profiles.live: store.url" not in told
    assert "inject.profiles.sandbox: store.url is required" in told
    assert "inject.profiles is required" in helm.refusal(Values(changes={"mode": "inject"}))


def test_the_trial_is_for_the_simulator_alone():
    told = helm.refusal(Values("trial", {"zentra": {"url": "https://api.usezentra.com"}, "mode": "gateway"}))
    for name in ("trial.enabled belongs to mode include", "trial.image.repository is required", "zentra.url must be"):
        assert name in told, name
