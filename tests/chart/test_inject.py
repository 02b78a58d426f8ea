"""Injection: the policies' expressions, evaluated over pods. No API server takes part."""

import re

import pytest

import admission
import helm
import schemas
import stand_ins
from helm import IMAGES, Values
from matrix import EVERYTHING, STORE
from sample_pods import POD, pod
from test_pod_security import container_breaches

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
    assert re.fullmatch("[0-9a-f]{8}", after["metadata"]["annotations"].pop("zentra.io/injected-as"))
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


@pytest.mark.parametrize("later", [{"namespaces": ["billing"]}, {"profiles": {"live": {"policy": {
    "existingConfigMap": "mine", "candidate": {"existingConfigMap": "mine"}}}}}])
def test_a_policy_that_is_in_no_release_any_more_stays_for_the_pods_that_mount_it(later):
    now = {"policy": EVERYTHING["policy"]}
    first = helm.render(Values("inject", now))
    made = {it["metadata"]["name"]: it["metadata"] for it in first if it["kind"] == "ConfigMap" and it["metadata"]["namespace"] == "shop"}
    mounted = [it["configMap"]["name"] for it in admission.admit(POD, "shop", first).pod["spec"]["volumes"] if "configMap" in it]
    second = helm.render(Values("inject", {**now, "inject": later}))
    left = {it["metadata"]["name"] for it in second if it["kind"] == "ConfigMap" and it["metadata"]["namespace"] == "shop"}
    assert len(mounted) == 2 and not left & set(mounted)
    for name in mounted:
        assert made[name]["annotations"] == {"helm.sh/resource-policy": "keep"}
        # By this they are found when nobody mounts them.
        assert made[name]["labels"]["app.kubernetes.io/component"] == "policy"


def test_where_helm_rolls_the_pods_their_policy_goes_with_the_release():
    rendered = helm.render(Values("gateway", {"dashboard": {"enabled": False}}))
    assert "annotations" not in helm.one(rendered, "ConfigMap")["metadata"]


def test_a_pod_that_has_been_injected_stays_as_it_is(example):
    once = admission.admit(POD, "shop", example).pod
    twice = admission.admit(once, "shop", example)
    assert twice.pod == once and twice.denied == []


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
