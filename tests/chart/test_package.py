"""The chart as a package, and what Helm prints after an installation."""

import json
import re
import shutil

import pytest

import admission
import helm
from helm import CHART, IMAGES, Values
from matrix import EVERYTHING

TRIAL = Values("trial", IMAGES)


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    """What `helm install` would print. Nothing is installed: a copy of the chart shows it as an object,
    as only `helm template` can be told what a cluster serves."""
    shown = tmp_path_factory.mktemp("shown") / "zentra-sidecar"
    shutil.copytree(CHART, shown)
    (shown / "NOTES").write_text((CHART / "templates/NOTES.txt").read_text())
    (shown / "templates/shown.yaml").write_text('kind: Notes\nmetadata: {name: notes}\ntext: {{ tpl (.Files.Get "NOTES") . | toJson }}\n')

    def text(values: Values) -> str:
        release, _, *more = values.arguments()
        done = helm.run("template", release, str(shown), *more, given=json.dumps(values.changes))
        assert done.returncode == 0, done.stderr
        return helm.one(helm.objects(done.stdout), "Notes")["text"]

    return text


def needed(told: str) -> dict[str, set[str]]:
    """The Secrets and ConfigMaps that the notes ask for, each with its keys."""
    lines = re.findall(r"^ +(Secret|ConfigMap) (\S+): (.*)$", told, re.M)
    return {f"{kind} {name}": set(keys.split(", ")) for kind, name, keys in lines}


def mounted(pod: dict) -> dict[str, set[str]]:
    """The same, of what a pod mounts, and of what it is pulled with."""
    found = {f"Secret {it['name']}": {".dockerconfigjson"} for it in pod.get("imagePullSecrets", [])}
    for volume in pod["volumes"]:
        if "configMap" in volume:
            found[f"ConfigMap {volume['configMap']['name']}"] = {"the policy's files"}
        for source in volume.get("projected", {}).get("sources", []):
            [(kind, its)] = source.items()
            name = f"{'Secret' if kind == 'secret' else 'ConfigMap'} {its['name']}"
            found.setdefault(name, set()).update(it["key"] for it in its["items"])
    return found


def test_the_package_is_the_chart(tmp_path):
    done = helm.run("package", str(CHART), "--destination", str(tmp_path))
    assert done.returncode == 0, done.stderr
    [package] = tmp_path.glob("*.tgz")
    values = Values("gateway")
    _, _, *more = values.arguments()
    packed = helm.run("template", values.release, str(package), *more, given="{}")
    assert packed.returncode == 0, packed.stderr
    assert packed.stdout == helm.template(values).stdout


def test_the_notes_name_what_is_there(notes):
    told = notes(TRIAL)
    rendered = helm.render(TRIAL)
    assert f"deploy/{helm.one(rendered, 'Deployment', 'trial-zentra-sidecar-trial')['metadata']['name']} " in told
    assert "forgets everything" in told
    assert "There is no policy" in told
    gateway = notes(Values("gateway"))
    service = helm.one(helm.render(Values("gateway")), "Service")
    address = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc:{service['spec']['ports'][0]['port']}"
    assert f"dns:///{address}" in gateway
    assert "There is no policy" not in gateway


def test_the_notes_warn_of_what_stays_unknown(notes):
    assert "stay unknown" in notes(Values("gateway", {"reconciler": {"enabled": False}}))
    assert "stay unknown" not in notes(Values("gateway"))


# All that a pod may need and the chart does not make.
OUTSIDE = {"image": {**IMAGES["image"], "pullSecrets": ["registry", "mirror"]}, "trial": IMAGES["trial"],
           "openTelemetryHeadersSecret": EVERYTHING["openTelemetryHeadersSecret"],
           "zentra": {"caConfigMap": {"name": "egress-ca"}, "keySecret": {"name": "zentra"}},
           "fingerprint": {"secret": {"name": "prints"}},
           "store": {"passwordSecret": {"name": "redis"}, "caConfigMap": {"name": "redis-ca"}},
           "policy": {"existingConfigMap": "rules", "candidate": {"existingConfigMap": "trial-rules"}}}
POLICIES = {"ConfigMap rules", "ConfigMap trial-rules"}


@pytest.mark.parametrize(("example", "owner"), [("gateway-small", "gateway"), ("trial", "trial")])
def test_the_notes_list_what_each_mode_needs_and_the_chart_does_not_make(example, owner, notes):
    values = Values(example, OUTSIDE)
    pod = dict(helm.pods(helm.render(values)))[f"trial-zentra-sidecar-{owner}"]
    assert needed(notes(values)) == mounted(pod)
    assert mounted(pod).keys() >= POLICIES | {"ConfigMap egress-ca", "ConfigMap redis-ca", "Secret collector", "Secret registry", "Secret mirror"}


def test_the_notes_list_what_a_reconciler_beside_services_needs(notes):
    values = Values(changes={**OUTSIDE, "store": {**OUTSIDE["store"], "url": "redis://store"}, "reconciler": {"enabled": True}})
    told = notes(values)
    [(_, pod)] = helm.pods(helm.render(values))
    assert needed(told) == mounted(pod)
    assert "The reconciler (account default) starts when these are in the namespace shop" in told
    # It asks no policy.
    assert not POLICIES & needed(told).keys()


def test_the_notes_list_for_each_profile_what_its_pods_and_its_reconciler_need(notes):
    values = Values("inject", {**OUTSIDE, "inject": {"profiles": {"sandbox": {"account": "ng", "sidecar": {"port": 50052}}}},
                               "reconciler": {"enabled": True}})
    told, reconcilers = notes(values).split("The reconciler of the profile live (account default)")
    reconcilers = reconcilers.split("The reconciler of the profile sandbox (account ng)")
    rendered = helm.render(values)
    for number, (profile, after) in enumerate((("live", "sandbox (account ng)"), ("sandbox", "2. Label"))):
        pod = {"metadata": {"labels": {"zentra.io/inject": profile}}, "spec": {"containers": []}}
        part = told.split(f"    {profile} (account ")[1].split(after)[0]
        assert needed(part) == mounted(admission.admit(pod, "shop", rendered).pod["spec"]), profile
        assert POLICIES <= needed(part).keys()
        own = dict(helm.pods(rendered))[f"trial-zentra-sidecar-reconciler-{profile}"]
        assert needed(reconcilers[number]) == mounted(own)
        made = admission.admit(pod, "shop", rendered).pod["metadata"]["annotations"]
        assert f"zentra.io/injected-as: {made['zentra.io/injected-as']}  with {profile}\n" in told
    assert "sandbox  which then finds the sidecar at 127.0.0.1:50052" in told


def test_the_notes_say_which_profile_has_no_policy(notes):
    told = notes(Values("inject", {"inject": {"profiles": {"live": {"policy": {"existingConfigMap": "rules"}}}}}))
    assert "There is no policy in the profile sandbox" in told and "in the profile live" not in told
