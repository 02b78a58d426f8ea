"""Which pods are refused, or left alone with a message: the guards of injection."""

import copy

import pytest

import admission
import helm
from helm import Values
from matrix import EVERYTHING
from sample_pods import POD, pod


OWN = {"name": "zentra-sidecar", "image": "registry.example.com/mine:1"}


def test_a_pod_that_brings_a_sidecar_is_left_alone_with_a_message(example):
    # Its volumes may have the names that the chart gives them.
    brought = pod({"initContainers": [OWN | {"restartPolicy": "Always"}], "volumes": [{"name": "zentra-sidecar-secrets", "emptyDir": {}}]})
    outcome = admission.admit(brought, "shop", example)
    assert (outcome.pod, outcome.denied) == (brought, [])
    [message] = outcome.warned
    assert "had a container zentra-sidecar already" in message


@pytest.mark.parametrize("spec", [{"containers": [*POD["spec"]["containers"], OWN]}, {"initContainers": [OWN]}])
def test_a_container_of_that_name_that_is_no_native_sidecar_is_refused_as_such(spec, example):
    outcome = admission.admit(pod(spec), "shop", example)
    # An API server tells the first one.
    assert "is called zentra-sidecar and is no native sidecar" in outcome.denied[0]
    assert outcome.warned == []


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
    assert bare.denied == [] and bare.pod["metadata"]["annotations"]["zentra.io/injected"] == "live"


@pytest.mark.parametrize("changes", [{"image": {"tag": "0.2.0"}}, {"zentra": {"proxy": "http://proxy:3128"}},
                                     {"store": {"passwordSecret": {"name": "redis"}}}, {"inject": {"profiles": {"live": {"log": "warn"}}}}])
def test_a_copy_of_a_pod_from_before_a_change_is_told(changes, example):
    copied = admission.admit(POD, "shop", example).pod
    later = helm.render(Values("inject", changes))
    outcome = admission.admit(copied, "shop", later)
    [message] = outcome.warned
    assert "before the values of its profile changed" in message
    assert (outcome.pod, outcome.denied) == (copied, [])
    # What is the same as it would be today needs no word, and neither does another profile's change.
    assert admission.admit(copied, "shop", example).warned == []
    other = helm.render(Values("inject", {"inject": {"profiles": {"sandbox": {"log": "warn"}}}}))
    assert admission.admit(copied, "shop", other).warned == []


@pytest.mark.parametrize("name", ["secrets", "policy", "policy-candidate", "no-token"])
def test_a_pod_whose_volume_has_the_name_of_one_of_the_sidecars_is_refused(name):
    rendered = helm.render(Values("inject", {"policy": EVERYTHING["policy"]}))
    outcome = admission.admit(pod({"volumes": [{"name": f"zentra-sidecar-{name}", "emptyDir": {}}]}), "shop", rendered)
    message = outcome.denied[0]
    assert "rename it" in message and f"zentra-sidecar-{name}" in message
    # The guard knows the names of all volumes that there may be.
    made = {it["name"] for it in admission.admit(POD, "shop", rendered).pod["spec"]["volumes"]}
    assert made == set(message.split("the names are ")[1].split(", "))


@pytest.mark.parametrize("field", ["hostNetwork", "shareProcessNamespace", "hostPID"])
def test_a_pod_that_would_lay_the_sidecar_open_is_refused_with_a_message(field, example):
    outcome = admission.admit(pod({field: True}), "shop", example)
    assert "initContainers" not in outcome.pod["spec"]
    assert field in outcome.denied[0] and outcome.warned == []
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
