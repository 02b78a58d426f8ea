"""Names and labels: what a cluster takes, whatever the release is called, and what nobody may replace."""

import re

import pytest

import helm
from helm import Values
from matrix import SETS

# RFC 1035, which a Service's name has to follow.
SERVICE_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
OWN = {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/managed-by"}
# The chart's name is joined to it and cut at 40 characters: here after the third dash.
CUT = "a-release-whose-name-is-cut-after-das-----x"


@pytest.mark.parametrize("values", [
    *SETS.values(), Values("gateway", release="1st.shop"), Values("gateway", release=CUT), Values("inject", release=CUT),
    Values("gateway", {"nameOverride": "a.B_-" + "c" * 34 + "-d"}), Values("gateway", {"fullnameOverride": "1.2.3"}),
], ids=lambda values: values.release)
def test_every_name_and_label_is_one_that_a_cluster_takes(values):
    for thing in helm.render(values):
        name = thing["metadata"]["name"]
        assert (SERVICE_NAME if thing["kind"] == "Service" else NAME).fullmatch(name), name
        templates = [thing] + ([thing["spec"]["template"]] if "template" in thing.get("spec", {}) else [])
        for it in templates:
            for label, value in it["metadata"]["labels"].items():
                assert LABEL.fullmatch(value), (label, value)
            assert OWN <= it["metadata"]["labels"].keys()


def service(values: Values) -> dict:
    return helm.one(helm.render(values), "Service")


def test_a_release_may_be_called_like_a_number():
    made = service(Values("gateway", release="1e3"))
    assert made["metadata"]["name"].startswith("z-1e3-zentra-sidecar-")
    assert made["spec"]["selector"]["app.kubernetes.io/instance"] == "1e3"


@pytest.mark.parametrize("releases", [
    # Cut, with a dot or a dash, with what a digit gets before it, and with the chart's own name in them.
    [CUT, CUT[:-1] + "y", CUT + "z"], ["shop.live", "shop-live"], ["1st", "z-1st"],
    ["zentra-sidecar", "my-zentra-sidecar", "my", "zentra-sidecar-zentra-sidecar"],
], ids=lambda releases: releases[0])
def test_two_releases_of_one_namespace_never_share_a_name(releases):
    made = [{(it["kind"], it["metadata"]["name"]) for it in helm.render(Values("gateway", release=it))} for it in releases]
    assert sum(len(names) for names in made) == len(set().union(*made))


def test_a_name_stays_readable_and_does_not_change():
    # A selector or a client's address that changed with a version of the chart would cut the callers off.
    for release, name in (("shop", "shop-zentra-sidecar"), ("zentra-sidecar", "zentra-sidecar"),
                          ("shop.live", "shop-live-zentra-sidecar-9173d11f"), (CUT, "a-release-whose-name-is-cut-aft-8f809314")):
        assert service(Values("gateway", release=release))["metadata"]["name"] == f"{name}-gateway"


@pytest.mark.parametrize("where", [("commonLabels",), ("gateway", "podLabels"), ("reconciler", "podLabels"),
                                   ("podMonitor", "labels"), ("prometheusRule", "labels"), ("dashboard", "labels")])
@pytest.mark.parametrize("label", ["app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component",
                                   "app.kubernetes.io/managed-by", "helm.sh/chart", "zentra.io/inject"])
def test_the_charts_own_labels_cannot_be_replaced(where, label):
    changes: dict = {label: "mine"}
    for name in reversed(where):
        changes = {name: changes}
    assert f"at '/{'/'.join(where)}/{label.replace('/', '~1')}'" in helm.refusal(Values("gateway", changes))


def test_a_label_that_several_values_give_stands_once():
    rendered = helm.render(Values("gateway", {"commonLabels": {"team": "payments"}, "gateway": {"podLabels": {"team": "shop", "tier": "back"}}}))
    labels = helm.one(rendered, "Deployment", "trial-zentra-sidecar-gateway")["spec"]["template"]["metadata"]["labels"]
    assert (labels["team"], labels["tier"]) == ("payments", "back")
