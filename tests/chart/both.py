"""The program and the chart, each asked whether it takes a setting."""

import os
import subprocess

import helm
from helm import IMAGES, Values
from matrix import GATEWAY, KEYS

GOOD = {
    "ZENTRA_URL": "http://127.0.0.1:1", "ZENTRA_SECRET_KEY": "sk_simulated_0000000000000000", "SIDECAR_STORE": "memory:",
    "SIDECAR_TLS_TRUST_DOMAIN": "example.org", "SIDECAR_TLS_ALLOWED_IDS": "spiffe://example.org/*",
    "SIDECAR_LISTEN": "tls://127.0.0.1:1",
}


def program_takes(variables: dict[str, str], named: str) -> bool:
    """Whether the program says nothing of a setting; `config` reads all, and binds nothing."""
    done = subprocess.run([os.environ["ZENTRA_SIDECAR_BIN"], "config"], text=True, capture_output=True, timeout=60,
                          env={"PATH": os.environ["PATH"], **GOOD, **variables})
    return named not in done.stderr


def chart_takes(**changes) -> bool:
    gateway = {**IMAGES, **KEYS, **GATEWAY, "store": {"url": "redis://store"}}
    for name, change in changes.items():
        gateway[name] = {**gateway.get(name, {}), **change}
    return helm.template(Values(changes=gateway)).returncode == 0
