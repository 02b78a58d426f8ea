"""The chart's README: its tables are made from the comments in values.yaml; its commands run.

    UPDATE_README=1 scripts/test chart
"""

import os
import pathlib
import re
import shlex
import subprocess

import yaml

import helm
import schemas
from helm import CHART, ROOT

GENERATOR = pathlib.Path(__file__).parent / "node_modules/.bin/readme-generator"
README = CHART / "README.md"


def test_the_tables_are_those_of_the_values(tmp_path):
    made = tmp_path / "README.md"
    made.write_text(README.read_text())
    done = subprocess.run([GENERATOR, "--values", CHART / "values.yaml", "--readme", made],
                          capture_output=True, text=True, timeout=60)
    # It finds values without a comment, and comments without a value.
    assert done.returncode == 0, done.stdout + done.stderr
    if os.environ.get("UPDATE_README"):
        README.write_text(made.read_text())
    assert made.read_text() == README.read_text(), "the tables are out of date: UPDATE_README=1 makes them anew"


def trial_commands() -> list[str]:
    """The commands under the heading `Three commands`."""
    section = README.read_text().split("## Three commands\n")[1].split("\n## ")[0]
    block = re.search(r"```sh\n(.*?)```", section, re.S).group(1)
    return block.replace("\\\n", " ").strip().splitlines()


def kubectl(command: str) -> list[dict]:
    """What kubectl would send to the cluster."""
    command = command.replace("$(openssl rand -hex 32)", "ab" * 32)
    words = [*shlex.split(command), "--dry-run=client", "--output", "yaml", "--kubeconfig", "/dev/null"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return helm.objects(done.stdout)


def test_three_commands_lead_from_nothing_to_a_pod_with_the_sidecar():
    namespace, secret, install = trial_commands()
    [made] = kubectl(namespace)
    assert made["kind"] == "Namespace"
    [keys] = kubectl(secret)
    assert keys["kind"] == "Secret" and keys["metadata"]["namespace"] == made["metadata"]["name"]

    words = shlex.split(install)
    assert words[:3] == ["helm", "install", "trial"]
    # Without a cluster, `install` is shown by `template`: the same rendering.
    done = helm.run("template", *words[2:], "--kube-version", "1.33.0", folder=ROOT)
    assert done.returncode == 0, done.stderr
    rendered = helm.objects(done.stdout)
    for version in helm.VERSIONS:
        for thing in [made, keys, *rendered]:
            schemas.validate(thing, version)
    for thing in rendered:
        assert thing["metadata"]["namespace"] == made["metadata"]["name"]

    pod = dict(helm.pods(rendered))["trial-zentra-sidecar-trial"]
    assert helm.sidecar(pod)["restartPolicy"] == "Always"
    # All that the pod names is there: the Secret and its keys, and the store.
    for volume in pod["volumes"]:
        for source in volume.get("projected", {}).get("sources", []):
            assert source["secret"]["name"] == keys["metadata"]["name"]
            assert {it["key"] for it in source["secret"]["items"]} <= keys["data"].keys()
    store = next(it["value"] for it in helm.sidecar(pod)["env"] if it["name"] == "SIDECAR_STORE")
    service = helm.one(rendered, "Service")
    address = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
    assert store == f"redis://{address}:{service['spec']['ports'][0]['port']}"


def test_the_examples_are_all_named():
    text = README.read_text()
    for example in (CHART / "examples").iterdir():
        assert f"examples/{example.name}" in text, example.name


def test_the_versions_of_the_chart_are_the_programs():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M).group(1)
    assert chart["appVersion"] == version
