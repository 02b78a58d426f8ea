"""Row 22 of the attack table: every pod meets the restricted Pod Security profile."""

import pytest

import helm
from matrix import SETS

# https://kubernetes.io/docs/concepts/security/pod-security-standards/
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def breaches(pod: dict) -> list[str]:
    """What the profile (and our own stricter rules) find wrong with a pod."""
    found = [f"{field} is set" for field in ("hostNetwork", "hostPID", "hostIPC") if pod.get(field)]
    for volume in pod.get("volumes", []):
        found += [f"volume {kind}" for kind in volume.keys() - {"name"} - VOLUMES]
    for container in helm.containers(pod):
        found += [f"{container['name']}: {fault}" for fault in container_breaches(container)]
    return found


def container_breaches(container: dict) -> list[str]:
    context = container.get("securityContext", {})
    required = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
        "capabilities": {"drop": ["ALL"]},
    }
    found = [f"{name} is {context.get(name)}" for name, value in required.items() if context.get(name) != value]
    if not context.get("runAsUser"):
        found.append("runs as root or as anybody")
    if context.get("privileged") or context.get("procMount") or any(port.get("hostPort") for port in container.get("ports", [])):
        found.append("reaches for the host")
    if "memory" not in container.get("resources", {}).get("limits", {}):
        found.append("may take all memory")
    return found


@pytest.mark.parametrize("name", SETS)
def test_every_pod_is_restricted(name):
    for owner, pod in helm.pods(helm.render(SETS[name])):
        assert breaches(pod) == [], owner


@pytest.mark.parametrize("name", SETS)
def test_no_pod_holds_a_token_of_the_cluster(name):
    for owner, pod in helm.pods(helm.render(SETS[name])):
        assert pod["automountServiceAccountToken"] is False, owner


def test_a_sidecar_in_a_pod_with_a_token_does_not_see_it():
    pod = dict(helm.pods(helm.render(SETS["trial"])))["trial-zentra-sidecar-trial"]
    mounts = {it["mountPath"]: it["name"] for it in helm.sidecar(pod)["volumeMounts"]}
    # Kubernetes leaves alone what is mounted there already.
    covered = mounts["/var/run/secrets/kubernetes.io/serviceaccount"]
    assert next(it for it in pod["volumes"] if it["name"] == covered).keys() == {"name", "emptyDir"}


def test_the_secrets_are_mounted_into_the_sidecar_alone():
    pod = dict(helm.pods(helm.render(SETS["trial"])))["trial-zentra-sidecar-trial"]
    for container in pod["containers"]:
        names = {it["name"] for it in container.get("volumeMounts", [])}
        assert not any(name.startswith("zentra-sidecar") for name in names)


def test_the_check_finds_what_it_is_for():
    pod = dict(helm.pods(helm.render(SETS["gateway"])))["trial-zentra-sidecar-gateway"]
    context = helm.sidecar(pod)["securityContext"]
    for name in list(context):
        kept = context.pop(name)
        if name != "runAsGroup":
            assert breaches(pod), name
        context[name] = kept
    pod["volumes"].append({"name": "host", "hostPath": {"path": "/"}})
    assert breaches(pod) == ["volume hostPath"]
