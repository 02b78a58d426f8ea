"""Runs the program as a rendered container would have it: its arguments, variables and files.

What Kubernetes does is done here by hand: references between variables, fields of the pod, mounts.
"""

import base64
import os
import pathlib
import re
import subprocess
import urllib.error
import urllib.request

REFERENCE = re.compile(r"\$\((\w+)\)")
FIELDS = {"metadata.namespace": "shop", "spec.serviceAccountName": "checkout"}


def environment(container: dict) -> dict[str, str]:
    found: dict[str, str] = {}
    for it in container["env"]:
        value = FIELDS[it["valueFrom"]["fieldRef"]["fieldPath"]] if "valueFrom" in it else it["value"]
        # Only variables that stand before are known.
        found[it["name"]] = REFERENCE.sub(lambda name: found.get(name[1], name[0]), value)
    return found


def mount(pod: dict, container: dict, secrets: dict[str, dict[str, str]], root: pathlib.Path) -> None:
    """Writes the files of the container's volumes under `root`, from Secrets and ConfigMaps by name."""
    volumes = {it["name"]: it for it in pod["volumes"]}
    for it in container["volumeMounts"]:
        folder = root / it["mountPath"].lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        for source in volumes[it["name"]].get("projected", {}).get("sources", []):
            [its] = source.values()
            for item in its["items"]:
                file = folder / item["path"]
                file.unlink(missing_ok=True)
                file.write_text(secrets[its["name"]][item["key"]])
                file.chmod(0o444)


def start(program: str, container: dict, root: pathlib.Path, log) -> subprocess.Popen:
    """The container's process, with the mounted folder under `root` in place of `/etc`.

    The pod's network is this machine's loopback address.
    """
    variables = {
        name: value.replace("/etc/zentra-sidecar", f"{root}/etc/zentra-sidecar").replace("0.0.0.0:", "127.0.0.1:")
        for name, value in environment(container).items()
    }
    return subprocess.Popen([program, *container["args"]], env={"PATH": os.environ["PATH"], **variables},
                            stdout=log, stderr=log)


def ask(container: dict, kind: str) -> int:
    """What a probe gets: the HTTP status, or 0 where nobody answers in its time."""
    probe = container[kind]
    [port] = [it["containerPort"] for it in container["ports"] if it["name"] == probe["httpGet"]["port"]]
    try:
        address = f"http://127.0.0.1:{port}{probe['httpGet']['path']}"
        with urllib.request.urlopen(address, timeout=probe["timeoutSeconds"]) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return 0


def random_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()
