"""null takes a default away. Of each default it is refused, or what is rendered without it is as good."""

import json

import pytest
import yaml

import helm
import schemas
from helm import CHART, Values
from schema_rules import batches, place, values_of

DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
# Entries of maps that may have less in them.
FREE = [("resources", "requests"), ("resources", "requests", "cpu"), ("resources", "requests", "memory"), ("resources", "limits"),
        ("resources", "limits", "memory"), ("dashboard", "labels", "grafana_dashboard")]


def paths(values: dict, above: tuple = ()):
    for name, value in values.items():
        yield (*above, name)
        if isinstance(value, dict):
            yield from paths(value, (*above, name))


BOUND = [path for path in paths(DEFAULTS) if path not in FREE]


def refused(said: str, path: tuple) -> bool:
    """Whether the message has the place and the name of what is missing there."""
    at = place(path[:-1])
    lines = [line for line in said.splitlines() if f"{at}: missing propert" in line]
    return any(f"'{path[-1]}'" in line for line in lines)


@pytest.mark.parametrize("mode", ["gateway", "inject", "trial"])
def test_no_default_may_be_null(mode):
    assert len(BOUND) > 120
    for batch in batches([(path, None) for path in BOUND]):
        said = helm.refusal(Values(mode, values_of(batch)))
        assert [path for path, _ in batch if not refused(said, path)] == [], said


def test_no_default_may_be_null_for_a_service_that_includes_the_sidecar(charts):
    for batch in batches([(path, None) for path in BOUND]):
        done = helm.run("template", "shop", str(charts), "--values", "-", given=json.dumps({"zentra-sidecar": values_of(batch)}))
        assert done.returncode != 0
        assert [path for path, _ in batch if not refused(done.stderr, path)] == [], done.stderr


@pytest.mark.parametrize("path", FREE, ids=".".join)
def test_what_may_be_left_out_leaves_good_objects(path):
    unscaled = {"gateway": {"autoscaling": {"enabled": False}}}
    for thing in helm.render(Values("gateway", values_of([(path, None)]) | unscaled)):
        schemas.validate(thing, "1.37.0")


@pytest.mark.parametrize("path", [("log",), ("zentra", "url"), ("store",), ("policy", "candidate", "files"), ("settings", "drainSeconds"),
                                  ("openTelemetry", "OTEL_SERVICE_NAME"), ("resources", "limits", "memory")], ids=".".join)
def test_a_profile_has_no_null_either(path):
    path = ("inject", "profiles", "live", *path)
    assert f"{place(path)}: got null" in helm.refusal(Values("inject", values_of([(path, None)])))
