"""Kubernetes' own schemas, and the Prometheus operator's own types for its two kinds.

Kubernetes' schemas are those of the Python package kubernetes-validate. The operator's types come with
the npm package @kubernetes-models/prometheus-operator, whose validators are made from the operator's
Go sources; custom_resources.mjs adds that an unknown field is a fault.
"""

import functools
import json
import pathlib
import subprocess

import kubernetes_validate

OPERATORS = "monitoring.coreos.com/"


class Unfit(Exception):
    """What the operator's types find wrong with an object."""


def validate(thing: dict, version: str) -> None:
    """Raises where the object does not fit its schema, or where there is none for its kind."""
    if thing["apiVersion"].startswith(OPERATORS):
        if faults := operator_faults(thing):
            raise Unfit(faults)
        return
    used = kubernetes_validate.validate(thing, version, strict=True)
    # The library falls back to an older version in silence where it lacks one.
    assert version.startswith(used), f"checked against {used} in place of {version}"


def operator_faults(thing: dict) -> list[str]:
    process = operators_types()
    process.stdin.write(json.dumps(thing) + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    assert answer, "the operator's types have no answer, see what was written"
    return json.loads(answer)


@functools.cache
def operators_types() -> subprocess.Popen:
    """One process for all objects; it ends with its standard input, so with this process."""
    script = pathlib.Path(__file__).with_name("custom_resources.mjs")
    return subprocess.Popen(["node", str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@functools.cache
def definitions(version: str) -> dict:
    folder = pathlib.Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    return json.loads((folder / f"v{version}-local-strict" / "_definitions.json").read_text())["$defs"]
