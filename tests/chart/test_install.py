"""docs/KUBERNETES.md: each mode's three commands lead from nothing to a pod with the sidecar."""

import re
import shlex
import shutil
import subprocess

import pytest

import admission
import helm
import schemas
from helm import CHART, MUTATING, ROOT

FILES = ("zentra-key", "fingerprint-keys", "tls.crt", "tls.key", "ca.crt")
DOCUMENT = (ROOT / "docs/KUBERNETES.md").read_text()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What a reader has at hand: the repository's charts, and the files that the text names."""
    made = tmp_path_factory.mktemp("reader")
    shutil.copytree(CHART, made / "helm/zentra-sidecar")
    for name in FILES:
        (made / name).write_text("x")
    return made


def commands(mode: str) -> list[str]:
    section = DOCUMENT.split(f"\n## {mode}\n")[1].split("\n## ")[0]
    block = re.search(r"```sh\n(.*?)```", section, re.S).group(1)
    return block.replace("\\\n", " ").strip().splitlines()


def play(mode: str, folder) -> tuple[list[dict], list[dict]]:
    """What Helm and kubectl would send to a cluster."""
    by_helm, by_kubectl = [], []
    for command in commands(mode):
        words = shlex.split(command)
        if words[0] == "helm":
            assert words[1] == "install"
            served = ["--kube-version", "1.37.0", "--api-versions", MUTATING.format("v1")]
            done = helm.run("template", *words[2:], *served, folder=folder)
            assert done.returncode == 0, done.stderr
            # Before the first object, Helm tells what it does about dependencies.
            by_helm += helm.objects(done.stdout[done.stdout.index("---\n"):])
        else:
            by_kubectl += kubectl(words, folder)
    for version in helm.VERSIONS:
        for thing in by_helm + by_kubectl:
            if not thing["kind"].startswith("Mutating") or version >= "1.36":
                schemas.validate(thing, version)
    return by_helm, by_kubectl


def kubectl(words: list[str], folder) -> list[dict]:
    if words[3] == "run":
        return [started(words)]
    assert words[0] == "kubectl"
    words = [*words, "--dry-run=client", "--output", "yaml", "--kubeconfig", "/dev/null"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, cwd=folder)
    assert done.returncode == 0, done.stderr
    return helm.objects(done.stdout)


def started(words: list[str]) -> dict:
    """The pod of `kubectl run`, which asks a cluster even in a dry run."""
    program, flag, namespace, _, name, image, labels = words
    assert (program, flag) == ("kubectl", "--namespace")
    label, value = labels.removeprefix("--labels=").split("=")
    container = {"name": name, "image": image.removeprefix("--image=")}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": {label: value}},
            "spec": {"containers": [container]}}


def assert_startable(pod: dict, namespace: str, made: list[dict]) -> None:
    """All that the pod mounts is there, or becomes so by the commands."""
    there = {(it["kind"], it["metadata"]["name"]): it.get("data", {}).keys() for it in made
             if it["metadata"].get("namespace") == namespace}
    for volume in pod["volumes"]:
        for source in volume.get("projected", {}).get("sources", []):
            [(kind, its)] = source.items()
            keys = there["Secret" if kind == "secret" else "ConfigMap", its["name"]]
            assert {item["key"] for item in its["items"]} <= keys
        if "configMap" in volume:
            assert ("ConfigMap", volume["configMap"]["name"]) in there
    assert helm.sidecar(pod)["image"].startswith("registry.example.com/zentra-sidecar:")


def pushed() -> list[str]:
    """The images that the text builds and pushes, before any mode."""
    return re.findall(r"docker push (\S+)", DOCUMENT.split("\n## Include\n")[0])


def test_include(folder):
    by_helm, by_kubectl = play("Include", folder)
    assert len(commands("Include")) == 3
    deployment = helm.one(by_helm, "Deployment")
    namespace = deployment["metadata"]["namespace"]
    assert helm.one(by_kubectl, "Namespace")["metadata"]["name"] == namespace
    pod = deployment["spec"]["template"]["spec"]
    assert helm.sidecar(pod)["restartPolicy"] == "Always"
    assert_startable(pod, namespace, by_helm + by_kubectl)
    assert helm.sidecar(pod)["image"] in pushed()


def test_inject(folder):
    by_helm, by_kubectl = play("Inject", folder)
    assert len(commands("Inject")) == 3
    before = helm.one(by_kubectl, "Pod")
    namespace = before["metadata"]["namespace"]
    outcome = admission.admit(before, namespace, by_helm)
    assert (outcome.denied, outcome.warned) == ([], [])
    for version in helm.VERSIONS:
        schemas.validate(outcome.pod, version)
    pod = outcome.pod["spec"]
    assert helm.sidecar(pod)["restartPolicy"] == "Always"
    assert_startable(pod, namespace, by_helm + by_kubectl)
    assert helm.sidecar(pod)["image"] in pushed()


def test_gateway(folder):
    by_helm, by_kubectl = play("Gateway", folder)
    assert len(commands("Gateway")) == 3
    deployment = helm.one(by_helm, "Deployment")
    namespace = deployment["metadata"]["namespace"]
    pod = deployment["spec"]["template"]["spec"]
    assert_startable(pod, namespace, by_helm + by_kubectl)
    assert helm.sidecar(pod)["image"] in pushed()
    # The certificate is for the name by which the text lets clients call.
    service = helm.one(by_helm, "Service")["metadata"]
    assert f"a certificate for `{service['name']}.{service['namespace']}.svc`" in DOCUMENT
