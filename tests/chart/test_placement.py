"""Where pods may run, and who may reach them: what an API server would refuse is refused before it."""

import pytest

import helm
from helm import Values
from matrix import NEIGHBOURS, PLACEMENT, PREFERRED, REQUIRED, SETS


def node(*expressions: dict) -> dict:
    return {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": list(expressions)}]}}}}


def pods(**changes) -> dict:
    return {"affinity": {"podAntiAffinity": {REQUIRED: [{**NEIGHBOURS, **changes}]}}}


@pytest.mark.parametrize("owner", ["gateway", "reconciler"])
def test_pods_are_placed_as_the_values_say(owner):
    deployment = helm.one(helm.render(SETS["gateway with a place"]), "Deployment", f"trial-zentra-sidecar-{owner}")
    template = deployment["spec"]["template"]
    for name in ("serviceAccountName", "priorityClassName", "nodeSelector", "tolerations", "affinity"):
        assert template["spec"][name] == PLACEMENT[name]
    assert template["metadata"]["annotations"] == PLACEMENT["podAnnotations"]
    assert template["metadata"]["labels"].items() >= PLACEMENT["podLabels"].items()


@pytest.mark.parametrize("owner", ["gateway", "reconciler"])
@pytest.mark.parametrize(("place", "told"), [
    ({"nodeSelector": {"a b": "c"}}, "/nodeSelector/a b': value must be 'left out: this can be no label'"),
    ({"nodeSelector": {"pool": "a b"}}, "/nodeSelector/pool': value must be 'the value of a label"),
    ({"nodeSelector": {"pool": "a" * 64}}, "/nodeSelector/pool': value must be 'the value of a label"),
    ({"nodeSelector": {"pool": True}}, "/nodeSelector/pool': got boolean, want string"),
    ({"podAnnotations": {"a b": "c"}}, "/podAnnotations/a b': value must be 'left out: this can be no annotation'"),
    ({"podAnnotations": {"a/b/c": "d"}}, "/podAnnotations/a~1b~1c': value must be"),
    ({"podAnnotations": {"seen": 1}}, "/podAnnotations/seen': got number, want string"),
    ({"podLabels": {"a..b/c": "d"}}, "/podLabels/a..b~1c': value must be 'left out"),
    ({"tolerations": [{"key": "a b"}]}, "/tolerations/0/key': value must be 'the name of a label"),
    ({"tolerations": [{"key": "a", "operator": "exists"}]}, "/tolerations/0/operator': value must be one of 'Exists'"),
    ({"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}, "/tolerations/0/value': value must be ''"),
    ({"tolerations": [{"effect": "NoSchedule"}]}, "/tolerations/0': missing property 'operator'"),
    ({"tolerations": [{"key": "", "operator": "Equal"}]}, "/tolerations/0/operator': value must be 'Exists'"),
    ({"tolerations": [{"key": "a", "effect": "NoStart"}]}, "/tolerations/0/effect': value must be one of"),
    ({"tolerations": [{"key": "a", "effect": "NoSchedule", "tolerationSeconds": 5}]}, "/tolerations/0/effect': value must be 'NoExecute'"),
    ({"tolerations": [{"key": "a", "tolerationSeconds": 5}]}, "/tolerations/0': missing property 'effect'"),
    ({"tolerations": [{"key": "a", "values": "b"}]}, "additional properties 'values' not allowed"),
    ({"affinity": {"nodeAfinity": {}}}, "additional properties 'nodeAfinity' not allowed"),
    ({"affinity": {"nodeAffinity": {REQUIRED: {}}}}, "missing property 'nodeSelectorTerms'"),
    ({"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": []}}}}, "minItems: got 0, want 1"),
    (node({"key": "a", "operator": "In"}), "missing property 'values'"),
    (node({"key": "a", "operator": "In", "values": []}), "/values': minItems: got 0, want 1"),
    (node({"key": "a", "operator": "Exists", "values": ["b"]}), "/values': maxItems: got 1, want 0"),
    (node({"key": "a", "operator": "Gt", "values": ["b"]}), "/values/0': value must be 'a text of a whole number'"),
    (node({"key": "a", "operator": "Lt", "values": ["1", "2"]}), "/values': maxItems: got 2, want 1"),
    (node({"key": "a b", "operator": "Exists"}), "/key': value must be 'the name of a label"),
    (pods(topologyKey=""), "/topologyKey': value must be 'the name of a label"),
    (pods(namespaces=["Shop"]), "/namespaces/0': value must be 'the name of a namespace"),
    (pods(labelSelector={"matchLabels": {"a b": "c"}}), "/matchLabels/a b': value must be 'left out"),
    (pods(labelSelector={"matchExpressions": [{"key": "a", "operator": "NotIn"}]}), "missing property 'values'"),
    (pods(labelSelector={"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]}), "/operator': value must be one of 'In'"),
    ({"affinity": {"podAffinity": {PREFERRED: [{"weight": 0, "podAffinityTerm": NEIGHBOURS}]}}}, "/weight': minimum: got 0, want 1"),
    ({"affinity": {"podAffinity": {PREFERRED: [NEIGHBOURS]}}}, "missing properties 'weight', 'podAffinityTerm'"),
], ids=str)
def test_a_place_that_an_api_server_would_refuse(owner, place, told):
    assert told in helm.refusal(Values("gateway", {owner: place}))


@pytest.mark.parametrize("key", ["", ".", "..", "..data", "a/b", "a b", "a" * 254])
def test_a_key_that_no_secret_could_have_is_refused(key):
    told = helm.refusal(Values("gateway", {"zentra": {"keySecret": {"key": key}}, "gateway": {"tls": {"certificateKey": key}}}))
    assert "at '/zentra/keySecret/key'" in told and "at '/gateway/tls/certificateKey'" in told


@pytest.mark.parametrize("key", ["a", ".a", "A_b-c.d", "a..b", "_", "a" * 253])
def test_a_key_that_a_secret_can_have_is_taken(key):
    helm.render(Values("gateway", {"zentra": {"keySecret": {"key": key}}}))


@pytest.mark.parametrize(("image", "good"), [
    ("redis", True), ("docker.io/library/redis:8.2", True), ("registry.example.com:5000/redis@sha256:" + "a" * 64, True),
    ("docker.io/library/redis:8.2 ", False), ("Redis:8", False), ("redis:", False), ("https://docker.io/redis", False), ("redis@sha256:12", False),
])
def test_the_image_of_the_trials_redis(image, good):
    values = Values("trial", {**helm.IMAGES, "trialRedis": {"image": image}})
    if good:
        helm.render(values)
    else:
        assert "at '/trialRedis/image': value must be 'an image such as docker.io/library/redis:8.2'" in helm.refusal(values)
