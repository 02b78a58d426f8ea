"""Injection: the policies' expressions, evaluated over pods. No API server takes part."""

import copy

import pytest

import admission
import helm
import schemas
import stand_ins
from helm import IMAGES, Values
from matrix import EVERYTHING, STORE
from test_pod_security import container_breaches

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "checkout", "labels": {"zentra.io/inject": "live"}},
    "spec": {"containers": [{"name": "checkout", "image": "registry.example.com/checkout:1"}]},
}


def pod(spec: dict | None = None, **metadata) -> dict:
    made = copy.deepcopy(POD)
    made["metadata"] |= metadata
    made["spec"] |= spec or {}
    return made


SHAPES = {
    "bare": pod(),
    "with volumes": pod({"volumes": [{"name": "data", "emptyDir": {}}]}),
    "with init containers": pod({"initContainers": [{"name": "migrate", "image": "registry.example.com/migrate:1"}]}),
    "with annotations": pod(annotations={"example.org/team": "shop"}),
    "with all of it": pod({"volumes": [{"name": "data", "emptyDir": {}}],
                           "initContainers": [{"name": "migrate", "image": "registry.example.com/migrate:1"}],
                           "serviceAccountName": "checkout"},
                          annotations={"example.org/team": "shop"}),
    "of a job": pod({"restartPolicy": "Never"}),
    "with another sidecar": pod({"initContainers": [{"name": "mesh", "image": "registry.example.com/mesh:1",
                                                     "restartPolicy": "Always"}]}),
}


@pytest.fixture(scope="module")
def example() -> list[dict]:
    return helm.render(Values("inject"))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_labelled_pod_gets_the_sidecar_and_nothing_else_changes(shape, example):
    before = SHAPES[shape]
    outcome = admission.admit(before, "shop", example)
    assert (outcome.denied, outcome.warned) == ([], [])
    after = outcome.pod
    for version in helm.VERSIONS:
        schemas.validate(after, version)
    first = after["spec"]["initContainers"][0]
    assert first["name"] == "zentra-sidecar" and first["restartPolicy"] == "Always"
    assert container_breaches(first) == []
    # What was there is there still, in its order.
    assert after["spec"]["initContainers"][1:] == before["spec"].get("initContainers", [])
    kept = len(before["spec"].get("volumes", []))
    assert after["spec"]["volumes"][:kept] == before["spec"].get("volumes", [])
    mounted = {mount["name"] for mount in first["volumeMounts"]}
    assert mounted == {volume["name"] for volume in after["spec"]["volumes"][kept:]}
    assert after["spec"]["containers"] == before["spec"]["containers"]
    assert after["metadata"]["annotations"].pop("zentra.io/injected") == "live"
    assert after["metadata"].get("annotations", {}) == before["metadata"].get("annotations", {})


# A text of one's own, in which an expression could end early.
QUOTES = {"OTEL_RESOURCE_ATTRIBUTES": "team=\"shop\" and \\backslash'${x}\n"}


@pytest.mark.parametrize("changes", [{}, {**EVERYTHING, **STORE}, {"openTelemetry": QUOTES}, {"resources": {"limits": {"memory": "1Gi", "cpu": 1.5}}}])
def test_it_is_the_sidecar_that_include_gives(changes):
    secrets = {"zentra": {"keySecret": {"name": "zentra"}, "url": "http://127.0.0.1:8089", "proxy": ""},
               "fingerprint": {"secret": {"name": "zentra"}}, "cardData": "refuse", "account": "ng",
               "store": {"url": "redis://store", **changes.get("store", {})}, "auditLog": "off"}
    same = {**changes, **secrets}
    profiles = {"live": secrets, "sandbox": secrets}
    rendered = helm.render(Values("inject", {**same, "inject": {"profiles": profiles}}))
    injected = admission.admit(POD, "shop", rendered).pod["spec"]
    included = admission.include(Values("trial", {**IMAGES, **same, "reconciler": {"enabled": False}, "networkPolicy": {"enabled": False}}))
    for container in injected["initContainers"] + included["initContainers"]:
        limits = container["resources"]["limits"]
        # A quantity may be a number or a text.
        container["resources"]["limits"] = {name: str(value) for name, value in limits.items()}
    for volume in injected["volumes"] + included["volumes"]:
        if volume["name"].startswith("zentra-sidecar-policy"):
            kind = volume["name"].removeprefix("zentra-sidecar-policy").lstrip("-")
            kind = f"-{kind}-policy" if kind else "-policy"
            name = volume["configMap"].pop("name")
            assert name in (f"trial-zentra-sidecar-live{kind}", f"trial-zentra-sidecar{kind}")
    assert injected["initContainers"] == included["initContainers"]
    assert injected["volumes"] == included["volumes"]


def test_each_profile_has_its_own_secrets(example):
    outcome = admission.admit(pod(labels={"zentra.io/inject": "sandbox"}), "billing", example)
    assert outcome.denied == []
    [secrets] = [it for it in outcome.pod["spec"]["volumes"] if it["name"] == "zentra-sidecar-secrets"]
    assert {it["secret"]["name"] for it in secrets["projected"]["sources"]} == {"zentra-sandbox"}


def test_a_profile_can_take_back_what_the_chart_says():
    profile = {"zentra": {"keySecret": {"name": "zentra"}, "proxy": ""}, "sidecar": {"caller": ""}}
    rendered = helm.render(Values("inject", {**STORE, "sidecar": {"caller": "everybody"},
                                             "inject": {"profiles": {"live": profile}}}))
    environment = {}
    for label in ("live", "sandbox"):
        outcome = admission.admit(pod(labels={"zentra.io/inject": label}), "shop", rendered)
        environment[label] = {it["name"]: it.get("value") for it in outcome.pod["spec"]["initContainers"][0]["env"]}
    assert environment["sandbox"]["SIDECAR_ZENTRA_PROXY"] == "http://proxy:3128"
    assert environment["sandbox"]["SIDECAR_CALLER"] == "everybody"
    assert "SIDECAR_ZENTRA_PROXY" not in environment["live"]
    assert environment["live"]["SIDECAR_CALLER"] == "$(POD_NAMESPACE)/$(POD_SERVICE_ACCOUNT)"


def test_every_namespace_gets_the_policy_of_every_profile():
    rendered = helm.render(Values("inject", {"policy": EVERYTHING["policy"]}))
    made = {(it["metadata"]["namespace"], it["metadata"]["name"]) for it in rendered if it["kind"] == "ConfigMap"}
    assert made == {(namespace, f"trial-zentra-sidecar-{profile}-{kind}")
                    for namespace in ("shop", "billing") for profile in ("live", "sandbox")
                    for kind in ("policy", "candidate-policy")}
    volumes = admission.admit(POD, "shop", rendered).pod["spec"]["volumes"]
    for volume in volumes[1:3]:
        assert ("shop", volume["configMap"]["name"]) in made


def test_a_pod_that_has_been_injected_stays_as_it_is(example):
    once = admission.admit(POD, "shop", example).pod
    twice = admission.admit(once, "shop", example)
    assert twice.pod == once and twice.denied == []


@pytest.mark.parametrize("place", ["initContainers", "containers"])
def test_a_pod_that_brings_a_sidecar_is_left_alone_with_a_message(place, example):
    own = {"name": "zentra-sidecar", "image": "registry.example.com/mine:1"}
    brought = pod({place: [own | ({"restartPolicy": "Always"} if place == "initContainers" else {})]
                   + (POD["spec"]["containers"] if place == "containers" else [])})
    outcome = admission.admit(brought, "shop", example)
    assert outcome.pod == brought
    assert any("had a container zentra-sidecar already" in it for it in outcome.warned)
    # One that is no native sidecar would start beside the service, not before it.
    assert bool(outcome.denied) == (place == "containers")


@pytest.mark.parametrize("labels", [{"zentra.io/inject": "sandbox"}, {"zentra.io/inject": "lvie"}, {}, None])
def test_a_pod_keeps_its_label_as_it_keeps_its_keys(labels, example):
    injected = admission.admit(POD, "shop", example).pod
    relabelled = copy.deepcopy(injected)
    relabelled["metadata"].pop("labels")
    relabelled["metadata"] |= {} if labels is None else {"labels": labels}
    for before, after in ((injected, relabelled), (relabelled, injected)):
        [message] = admission.change(before, after, "shop", example).denied
        assert "the keys that it has" in message and "template of its owner" in message
    assert admission.change(injected, relabelled, "elsewhere", example).denied == []
    # All else may change, also of a pod that no policy would make today: Jobs take back their finalizers so.
    for kept in (injected, relabelled, pod({"hostNetwork": True})):
        other = copy.deepcopy(kept)
        other["metadata"]["annotations"] = {"example.org/seen": "true"}
        assert admission.change(kept, other, "shop", example).denied == []


def test_a_copy_of_a_pod_under_another_profiles_label_is_refused(example):
    copied = admission.admit(POD, "shop", example).pod
    copied["metadata"]["labels"] = {"zentra.io/inject": "sandbox"}
    outcome = admission.admit(copied, "shop", example)
    assert [message for message in outcome.denied if "given its zentra-sidecar by another profile" in message] == outcome.denied != []
    # What is left of an annotation alone is no sidecar.
    bare = admission.admit(pod(annotations={"zentra.io/injected": "sandbox"}), "shop", example)
    assert bare.denied == [] and bare.pod["metadata"]["annotations"] == {"zentra.io/injected": "live"}


@pytest.mark.parametrize("name", ["secrets", "policy", "policy-candidate", "no-token"])
def test_a_pod_whose_volume_has_the_name_of_one_of_the_sidecars_is_refused(name):
    rendered = helm.render(Values("inject", {"policy": EVERYTHING["policy"]}))
    outcome = admission.admit(pod({"volumes": [{"name": f"zentra-sidecar-{name}", "emptyDir": {}}]}), "shop", rendered)
    [message] = outcome.denied
    assert "rename it" in message and f"zentra-sidecar-{name}" in message
    # The guard knows the names of all volumes that there may be.
    made = {it["name"] for it in admission.admit(POD, "shop", rendered).pod["spec"]["volumes"]}
    assert made == set(message.split("the names are ")[1].split(", "))


@pytest.mark.parametrize("field", ["hostNetwork", "shareProcessNamespace", "hostPID"])
def test_a_pod_that_would_lay_the_sidecar_open_is_refused_with_a_message(field, example):
    outcome = admission.admit(pod({field: True}), "shop", example)
    assert "initContainers" not in outcome.pod["spec"]
    assert any(field in message for message in outcome.denied)
    assert admission.admit(pod({field: False}), "shop", example).denied == []


def test_a_label_that_names_no_profile_is_refused_with_the_names_of_those_there_are(example):
    outcome = admission.admit(pod(labels={"zentra.io/inject": "lvie"}), "shop", example)
    assert outcome.denied[0].endswith("there are: live, sandbox")


def test_a_pod_that_should_have_been_injected_and_was_not_is_refused(example):
    without = [it for it in example if not it["kind"].startswith("Mutating")]
    [message] = admission.admit(POD, "shop", without).denied
    assert "has none" in message


def test_a_labelled_pod_of_another_namespace_is_left_alone_with_a_message(example):
    outcome = admission.admit(POD, "elsewhere", example)
    assert outcome.pod == POD and outcome.denied == []
    [message] = outcome.warned
    assert "not among inject.namespaces" in message


def test_an_unlabelled_pod_is_nobodys_business(example):
    outcome = admission.admit(pod(labels={}), "shop", example)
    assert (outcome.pod, outcome.denied, outcome.warned) == (pod(labels={}), [], [])


@pytest.mark.parametrize(("version", "served", "allow", "api"), [
    ("1.36.0", "v1", False, "v1"),
    ("1.37.0", "v1", True, "v1"),
    ("1.34.0", "v1beta1", True, "v1beta1"),
    ("1.35.0", "v1beta1", True, "v1beta1"),
])
def test_the_newest_version_that_is_served_is_taken(version, served, allow, api):
    rendered = helm.render(Values("inject", {"inject": {"allowBeta": allow}}, version, served))
    found = {it["apiVersion"] for it in rendered if it["kind"].startswith("Mutating")}
    assert found == {f"admissionregistration.k8s.io/{api}"}


@pytest.mark.parametrize(("version", "served", "allow", "told"), [
    ("1.34.0", "v1beta1", False, "set inject.allowBeta=true"),
    ("1.35.0", None, True, "serves no MutatingAdmissionPolicy (Kubernetes v1.35.0)"),
    ("1.33.0", "v1alpha1", True, "use mode include"),
])
def test_where_none_is_served_the_chart_says_what_to_do(version, served, allow, told):
    assert told in helm.refusal(Values("inject", {"inject": {"allowBeta": allow}}, version, served))


@pytest.mark.parametrize("broken", [
    "Object.spec.initContainers{nmae: \"x\"}",
    "Object.spec.initContainers{name: 1}",
    "Object.spec.initContainers{env: [Object.spec.containers.env{name: \"x\"}]}",
    "Object.spec.initContainers{args: \"serve\"}",
    "Object.spec.initContainers{securityContext: Object.spec.initContainers.securityContext{runAsNonRoot: \"true\"}}",
    "object.spec.nothing.name",
])
def test_the_stand_ins_find_mistakes(broken):
    [result] = stand_ins.evaluate([(broken, POD)])
    assert "fault" in result, result
