"""A service's pod, before admission."""

import copy

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "checkout", "labels": {"zentra.io/inject": "live"}},
    "spec": {"containers": [{"name": "checkout", "image": "registry.example.com/checkout:1"}]},
}


def pod(spec: dict | None = None, **metadata) -> dict:
    made = copy.deepcopy(POD)
    made["metadata"] |= metadata
    made["spec"] |= spec or {}
    return made
