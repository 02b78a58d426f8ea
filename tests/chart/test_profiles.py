"""Profiles of mode inject: what each has of its own, and what of the chart's stays in force."""

import admission
import helm
from helm import Values
from sample_pods import POD, pod

POLICY = {"policy": {"files": {"everything.cedar": "permit (principal, action, resource);"}},
          "settings": {"callsInFlight": 64}, "openTelemetry": {"OTEL_TRACES_SAMPLER": "always_on"}}
OWN = {"policy": {"files": {"reads.cedar": "permit (principal, action in [Action::\"Read\"], resource);"}},
       "settings": {"drainSeconds": 40}, "openTelemetry": {"OTEL_SERVICE_NAME": "live"}}
KEYS = {"zentra": {"keySecret": {"name": "zentra"}}, "fingerprint": {"secret": {"name": "zentra"}}}


def injected(profile: str, rendered: list[dict]) -> dict:
    outcome = admission.admit(pod(labels={"zentra.io/inject": profile}), "shop", rendered)
    assert outcome.denied == []
    return outcome.pod["spec"]


def test_a_profiles_own_names_replace_the_charts_whole():
    rendered = helm.render(Values("inject", {**POLICY, "inject": {"profiles": {"live": OWN}}}))
    files = {it["metadata"]["name"]: set(it["data"]) for it in rendered
             if it["kind"] == "ConfigMap" and it["metadata"]["namespace"] == "shop"}
    # A file that permits everything would stay in force beside any other.
    assert files == {"trial-zentra-sidecar-live-policy": {"reads.cedar"},
                     "trial-zentra-sidecar-sandbox-policy": {"everything.cedar"}}
    live, sandbox = ({it["name"] for it in helm.sidecar(injected(name, rendered))["env"]} for name in ("live", "sandbox"))
    assert live - sandbox == {"SIDECAR_DRAIN_SECONDS", "OTEL_SERVICE_NAME"}
    assert sandbox - live == {"SIDECAR_CALLS_IN_FLIGHT", "OTEL_TRACES_SAMPLER"}


def test_a_profiles_own_config_map_takes_the_place_of_the_charts_files_and_the_other_way_round():
    for chart, own, name in ((POLICY["policy"], {"existingConfigMap": "mine"}, "mine"),
                             ({"existingConfigMap": "ours"}, OWN["policy"], "trial-zentra-sidecar-live-policy")):
        rendered = helm.render(Values("inject", {"policy": chart, "inject": {"profiles": {"live": {"policy": own}}}}))
        [volume] = [it for it in injected("live", rendered)["volumes"] if it["name"] == "zentra-sidecar-policy"]
        assert volume["configMap"]["name"] == name


def test_a_profiles_own_policy_on_trial_takes_the_place_of_the_charts_too():
    files = {"files": {"reads.cedar": "forbid (principal, action, resource);"}}
    made = "trial-zentra-sidecar-live-candidate-policy"
    for chart, own, name in ((files, {"existingConfigMap": "mine"}, "mine"), ({"existingConfigMap": "ours"}, files, made),
                             (files, {"files": {}}, None)):
        rendered = helm.render(Values("inject", {"policy": {**POLICY["policy"], "candidate": chart},
                                                 "inject": {"profiles": {"live": {"policy": {"candidate": own}}}}}))
        volumes = [it["configMap"]["name"] for it in injected("live", rendered)["volumes"] if it["name"].endswith("-candidate")]
        assert volumes == ([name] if name else [])
        # Of what no pod mounts, nothing is made.
        candidates = {it["metadata"]["name"] for it in rendered if it["kind"] == "ConfigMap" and "-candidate-" in it["metadata"]["name"]}
        assert (made in candidates) == (name == made)


def test_each_profile_has_a_reconciler_of_its_own():
    rendered = helm.render(Values("inject", {"reconciler": {"enabled": True}, "networkPolicy": {"enabled": True},
                                             "inject": {"profiles": {"live": {"account": "ng"}}}}))
    accounts, secrets, selectors = {}, {}, {}
    for it in rendered:
        if it["kind"] == "Deployment":
            container = helm.sidecar(it["spec"]["template"]["spec"])
            accounts[it["metadata"]["name"]] = {v["name"]: v.get("value") for v in container["env"]}["SIDECAR_ACCOUNT"]
            volumes = it["spec"]["template"]["spec"]["volumes"]
            secrets[it["metadata"]["name"]] = {s["secret"]["name"] for s in volumes[0]["projected"]["sources"]}
            selectors[it["metadata"]["name"]] = it["spec"]["selector"]["matchLabels"]
    assert accounts == {"trial-zentra-sidecar-reconciler-live": "ng", "trial-zentra-sidecar-reconciler-sandbox": "default"}
    assert secrets["trial-zentra-sidecar-reconciler-live"] == {"zentra-live"}
    # Neither Deployment takes the other's pods, and each has a way out.
    one, other = selectors.values()
    assert not one.items() <= other.items() and not other.items() <= one.items()
    policies = {it["metadata"]["name"]: it["spec"]["podSelector"]["matchLabels"] for it in rendered if it["kind"] == "NetworkPolicy"}
    assert policies == selectors


def test_a_reconciler_without_a_profiles_values_is_refused():
    told = helm.refusal(Values(changes={"mode": "inject", **helm.IMAGES, **KEYS, "store": {"url": "redis://store"},
                                        "reconciler": {"enabled": True}, "inject": {"namespaces": ["shop"]}}))
    assert "inject.profiles is required" in told


def test_pull_secrets_join_those_that_the_pod_has():
    rendered = helm.render(Values("inject", {"image": {"pullSecrets": ["registry", "mirror"]}}))
    assert injected("live", rendered)["imagePullSecrets"] == [{"name": "registry"}, {"name": "mirror"}]
    own = admission.admit(pod({"imagePullSecrets": [{"name": "own"}, {"name": "mirror"}]}), "shop", rendered)
    assert own.pod["spec"]["imagePullSecrets"] == [{"name": "own"}, {"name": "mirror"}, {"name": "registry"}]
    # Without any, the pod's own way of pulling stays as it is.
    without = admission.admit(POD, "shop", helm.render(Values("inject")))
    assert "imagePullSecrets" not in without.pod["spec"]
