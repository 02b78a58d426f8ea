"""Every object of every set of values, on every version of Kubernetes."""

import functools
import json

import kubernetes_validate
import pytest

import helm
import schemas
from helm import CHART, VERSIONS, Values
from matrix import SETS, for_version, possible

CASES = [(name, version) for name, values in SETS.items() for version in VERSIONS
         if possible(values, version)]


@functools.cache
def rendered(name: str, version: str) -> str:
    done = helm.template(for_version(SETS[name], version))
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", SETS)
def test_the_chart_passes_helms_own_checks_with_every_set_of_values(name):
    # Whatever is looked for, Helm renders the templates for it with these values.
    _, *arguments = SETS[name].arguments()
    api = arguments.index("--api-versions")
    done = helm.run("lint", "--strict", *arguments[:api], *arguments[api + 2:], given=json.dumps(SETS[name].changes))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_of_a_service_passes_helms_own_checks(charts):
    done = helm.run("lint", "--strict", "--with-subcharts", str(charts))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("name", "version"), CASES)
def test_every_object_fits_its_schema(name, version):
    things = helm.objects(rendered(name, version))
    # Without a reconciler, a trial and a policy, mode include makes nothing of its own.
    assert bool(things) == (name not in ("defaults", "include"))
    for thing in things:
        schemas.validate(thing, version)


@pytest.mark.parametrize("name", SETS)
def test_rendering_twice_gives_the_same_bytes(name):
    again = helm.template(SETS[name])
    assert again.stdout == helm.template(SETS[name]).stdout


def test_the_matrix_shows_every_template():
    shown = {line.rsplit("/", 1)[1] for name in SETS for line in rendered(name, "1.37.0").splitlines()
             if line.startswith("# Source:")}
    written = {path.name for path in (CHART / "templates").glob("*.yaml")}
    assert shown == written - {"checks.yaml"}


def test_an_unknown_kind_is_a_failure():
    with pytest.raises(kubernetes_validate.SchemaNotFoundError):
        schemas.validate({"apiVersion": "example.org/v1", "kind": "Wish", "metadata": {}}, "1.37.0")


def test_an_unknown_field_of_a_foreign_kind_is_a_failure():
    monitor = helm.one(helm.objects(rendered("include with everything", "1.37.0")), "PodMonitor", "trial-zentra-sidecar")
    schemas.validate(monitor, "1.37.0")
    monitor["spec"]["podMetricsEndpoints"][0]["intervall"] = "30s"
    with pytest.raises(schemas.Unfit, match="intervall: unknown"):
        schemas.validate(monitor, "1.37.0")
    monitor["spec"]["podMetricsEndpoints"][0] = {"port": "zentra-admin", "interval": "half a minute"}
    with pytest.raises(schemas.Unfit, match="interval must match"):
        schemas.validate(monitor, "1.37.0")


def test_no_two_objects_have_one_name():
    for name in SETS:
        things = helm.objects(rendered(name, "1.37.0"))
        keys = [(it["apiVersion"], it["kind"], it["metadata"].get("namespace"), it["metadata"]["name"])
                for it in things]
        assert len(keys) == len(set(keys)), name


def test_an_older_kubernetes_is_refused():
    assert "1.32" in helm.refusal(Values(version="1.32.0"))


def test_no_secret_is_made_and_none_is_a_variable_or_mounted_in_part():
    for name in SETS:
        text = rendered(name, "1.37.0")
        assert "kind: Secret" not in text
        assert "subPath" not in text
        # Whoever may look into a process from outside finds its variables. Nor in an expression, of which
        # injected pods are made, and not by a whole Secret at once.
        assert "secretKeyRef" not in text and "secretRef" not in text


def test_selectors_find_their_pods():
    things = helm.objects(rendered("gateway with everything", "1.37.0"))
    labels = {name: helm.one(things, "Deployment", name)["spec"]["template"]["metadata"]["labels"]
              for name in ("trial-zentra-sidecar-gateway", "trial-zentra-sidecar-reconciler")}
    service = helm.one(things, "Service")
    budget = helm.one(things, "PodDisruptionBudget")
    selectors = {
        "trial-zentra-sidecar-gateway": [
            service["spec"]["selector"],
            budget["spec"]["selector"]["matchLabels"],
            helm.one(things, "PodMonitor", "trial-zentra-sidecar")["spec"]["selector"]["matchLabels"],
            helm.one(things, "NetworkPolicy", "trial-zentra-sidecar-gateway")["spec"]["podSelector"]["matchLabels"],
        ],
        "trial-zentra-sidecar-reconciler": [
            helm.one(things, "PodMonitor", "trial-zentra-sidecar-reconciler")["spec"]["selector"]["matchLabels"],
            helm.one(things, "NetworkPolicy", "trial-zentra-sidecar-reconciler")["spec"]["podSelector"]["matchLabels"],
        ],
    }
    for chosen in selectors:
        for name, its in labels.items():
            for selector in selectors[chosen]:
                assert (selector.items() <= its.items()) == (name == chosen), (selector, name)
    assert service["spec"]["clusterIP"] == "None"
    gateway = helm.sidecar(dict(helm.pods(things))["trial-zentra-sidecar-gateway"])
    assert service["spec"]["ports"][0]["targetPort"] in {port["name"] for port in gateway["ports"]}
    for monitor in ("trial-zentra-sidecar", "trial-zentra-sidecar-reconciler"):
        endpoint, = helm.one(things, "PodMonitor", monitor)["spec"]["podMetricsEndpoints"]
        for name, pod in helm.pods(things):
            if name in labels:
                assert endpoint["port"] in {port["name"] for port in helm.sidecar(pod)["ports"]}
