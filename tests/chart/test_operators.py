"""docs/ON_CALL.md: what operators type by `kubectl exec` is in the pods that the chart makes."""

import os
import shlex
import subprocess

import pytest

import admission
import helm
from helm import ROOT, Values
from sample_pods import POD

LINES = [shlex.split(it) for it in (ROOT / "docs/ON_CALL.md").read_text().splitlines() if it.startswith("kubectl ") and " exec " in it]


@pytest.fixture(scope="module")
def pods(example) -> dict[str, dict]:
    """By what stands after `exec`."""
    rendered = helm.render(Values("gateway", release="payments", namespace="payments"))
    return {f"deploy/{name}": pod for name, pod in helm.pods(rendered)} | {"POD": admission.admit(POD, "shop", example).pod["spec"]}


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_a_line_names_a_pod_its_container_and_a_command_of_the_program(line, pods):
    program, flag, _, verb, owner, container_flag, container, end, *command = line
    assert (program, flag, verb, container_flag, end) == ("kubectl", "-n", "exec", "-c", "--")
    found = next(it for it in helm.containers(pods[owner]) if it["name"] == container)
    assert {it for it in command if it.startswith("/")} <= {it["mountPath"] for it in found["volumeMounts"]}
    assert command[0] == "zentra-sidecar"
    words = [it for it in command[1:] if not it.startswith("/")]
    done = subprocess.run([os.environ["ZENTRA_SIDECAR_BIN"], *words, "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_there_is_a_line_for_each_kind_of_pod():
    assert {line[4] for line in LINES} == {"POD", "deploy/payments-zentra-sidecar-gateway", "deploy/payments-zentra-sidecar-reconciler"}
