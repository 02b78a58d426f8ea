"""Helm, as a user runs it: real, offline, and without a cluster."""

import json
import os
import pathlib
import re
import subprocess
from dataclasses import dataclass, field

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "zentra-sidecar"
EXAMPLES = CHART / "examples"
# Where Kubernetes serves MutatingAdmissionPolicy from: https://kubernetes.io/releases.
VERSIONS = ["1.33.0", "1.34.0", "1.35.0", "1.36.0", "1.37.0"]
MUTATING = "admissionregistration.k8s.io/{}/MutatingAdmissionPolicy"
IMAGES = {"image": {"repository": "registry.example.com/zentra-sidecar"},
          "trial": {"image": {"repository": "registry.example.com/zentra-sidecar-dev"}}}


@dataclass
class Values:
    """One set of values: an example of the chart, and what is changed in it."""

    example: str | None = None
    changes: dict = field(default_factory=dict)
    version: str = "1.37.0"
    served: str | None = "v1"
    release: str = "trial"
    namespace: str = "shop"

    def arguments(self) -> list[str]:
        arguments = [self.release, str(CHART), "--namespace", self.namespace, "--kube-version", self.version]
        if self.served:
            arguments += ["--api-versions", MUTATING.format(self.served)]
        if self.example:
            arguments += ["--values", str(EXAMPLES / f"{self.example}.yaml")]
        return arguments + ["--values", "-"]


def run(*arguments: str, given: str | None = None, folder=ROOT) -> subprocess.CompletedProcess:
    # No home of its own: nothing that a developer has set up there may play a part.
    return subprocess.run(
        ["helm", *arguments], cwd=folder, input=given, text=True, capture_output=True, timeout=60,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
    )


def template(values: Values) -> subprocess.CompletedProcess:
    # JSON is YAML that leaves no text unquoted.
    return run("template", *values.arguments(), given=json.dumps(values.changes))


def render(values: Values) -> list[dict]:
    """The objects that the chart makes of these values."""
    done = template(values)
    assert done.returncode == 0, done.stderr
    return objects(done.stdout)


def refusal(values: Values) -> str:
    """What Helm says of values that it must refuse."""
    done = template(values)
    assert done.returncode != 0, "these values should be refused"
    return done.stderr


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Reads words as Kubernetes does, which takes more of them for numbers and truth values: a text
    that is not quoted becomes something else there, and a wrong type here."""

    def construct_mapping(self, node, deep=False):
        names = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(names) == len(set(names)), f"a key stands twice: {names}"
        return super().construct_mapping(node, deep)


Loader.yaml_implicit_resolvers = {first: list(known) for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()}
Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789"))
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(y|Y|n|N)$"), list("yYnN"))
Loader.bool_values = yaml.SafeLoader.bool_values | {"y": True, "n": False}


def objects(text: str) -> list[dict]:
    return [document for document in yaml.load_all(text, Loader) if document]


def one(rendered: list[dict], kind: str, name: str | None = None) -> dict:
    found = [it for it in rendered if it["kind"] == kind and name in (None, it["metadata"]["name"])]
    assert len(found) == 1, [(it["kind"], it["metadata"]["name"]) for it in rendered]
    return found[0]


def pods(rendered: list[dict]) -> list[tuple[str, dict]]:
    """The pods that the objects would start: the name of the owner, and the pod's spec."""
    return [(it["metadata"]["name"], it["spec"]["template"]["spec"])
            for it in rendered if it["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job")]


def containers(pod: dict) -> list[dict]:
    return pod.get("initContainers", []) + pod["containers"]


def sidecar(pod: dict) -> dict:
    return next(it for it in containers(pod) if it["name"] == "zentra-sidecar")
