"""The chart and the program know the same settings."""

import json
import os
import re
import subprocess

import helm
from helm import CHART, ROOT, Values
from matrix import SETS

# The program's own, and what Kubernetes gives for them.
OWN = re.compile(r"^(SIDECAR|ZENTRA|SIMULATOR)_")
# What the chart deliberately has no value for.
LEFT_OUT = {
    "SIDECAR_INSECURE_LISTEN": "the gateway serves with mutual TLS only",
    "SIDECAR_UNIX_PEER_UIDS": "the sidecar of a pod listens on its loopback address",
}


def known(command: str) -> set[str]:
    """The variables that the program's help names."""
    program = os.environ["ZENTRA_SIDECAR_BIN"]
    text = subprocess.run([program, command, "--help"], capture_output=True, text=True, check=True, timeout=60).stdout
    return set(re.findall(r"\[env:\s+([A-Z_]+)=", text)) | set(re.findall(r"env:\s+(ZENTRA_SECRET_KEY)\]", text))


def rendered_variables() -> dict[str, set[str]]:
    """Which variables the chart sets for which command."""
    found: dict[str, set[str]] = {}
    for values in SETS.values():
        for _, pod in helm.pods(helm.render(values)):
            for container in helm.containers(pod):
                if container.get("args", [""])[0] in ("serve", "reconcile", "simulate"):
                    names = {it["name"] for it in container["env"] if OWN.match(it["name"])}
                    found.setdefault(container["args"][0], set()).update(names)
    return found


def variable(setting: str) -> str:
    return "SIDECAR_" + re.sub(r"(?<!^)(?=[A-Z])", "_", setting).upper()


def settings() -> dict[str, dict]:
    schema = json.loads((CHART / "values.schema.json").read_text())
    return schema["definitions"]["settings"]["properties"]


def test_the_program_knows_every_variable_that_the_chart_sets():
    for command, names in rendered_variables().items():
        # The log's filter is a variable alone.
        assert names - known(command) - {"SIDECAR_LOG"} == set(), command


def test_the_chart_has_a_value_for_every_setting_of_the_program():
    every = {"settings": {name: rule["minimum"] for name, rule in settings().items()}}
    chart = set().union(*rendered_variables().values())
    chart |= {it["name"] for _, pod in helm.pods(helm.render(Values("gateway", every)))
              for it in helm.sidecar(pod)["env"]}
    assert {variable(name) for name in settings()} <= chart
    assert known("serve") - chart - {"ZENTRA_SECRET_KEY"} - LEFT_OUT.keys() == set()


def test_the_bounds_are_those_of_the_program():
    documented = {}
    for line in (ROOT / "docs/SETTINGS.md").read_text().splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        if len(cells) >= 4 and cells[0].startswith("--"):
            documented[cells[1]] = cells[3]
    for name, rule in settings().items():
        told = documented[variable(name)].replace(",", "")
        assert re.match(rf"{rule['minimum']} to {rule['maximum']}\b", told), (name, told)
