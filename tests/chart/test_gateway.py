"""The rendered gateway, run as the real program: who calls is the same text as beside the service."""

import json
import os
import subprocess

import grpc
import pytest

import helm
import rendered_pod
from helm import IMAGES, Values
from local import START_SECONDS, free_port, until

CERTIFICATES = helm.ROOT / "tests/clients/certificates"
# The caller of the rendered sidecar, see rendered_pod.FIELDS, as a mesh names it.
CHECKOUT = "spiffe://example.org/ns/shop/sa/checkout"


@pytest.fixture
def gateway(redis, tmp_path):
    """The gateway's container, running, and the folder with the certificates."""
    redis.start()
    subprocess.run([CERTIFICATES, tmp_path, CHECKOUT], check=True, capture_output=True)
    values = Values(changes={
        **IMAGES, "mode": "gateway",
        "zentra": {"url": f"http://127.0.0.1:{free_port()}", "keySecret": {"name": "zentra"}},
        "store": {"url": f"redis://127.0.0.1:{redis.port}"},
        "fingerprint": {"secret": {"name": "zentra"}},
        "gateway": {"port": free_port(), "adminPort": free_port(),
                    "tls": {"secretName": "tls", "trustDomain": "example.org",
                            "allowedIds": ["spiffe://example.org/ns/shop/*"]}},
    })
    pod = dict(helm.pods(helm.render(values)))["trial-zentra-sidecar-gateway"]
    secrets = {
        "zentra": {"zentra-key": "sk_simulated_0000000000000000", "fingerprint-keys": rendered_pod.random_key()},
        "tls": {"tls.crt": (tmp_path / "server.pem").read_text(), "tls.key": (tmp_path / "server-key.pem").read_text(),
                "ca.crt": (tmp_path / "ca.pem").read_text()},
    }
    container = helm.sidecar(pod)
    rendered_pod.mount(pod, container, secrets, tmp_path)
    with (tmp_path / "log").open("w") as log:
        process = rendered_pod.start(os.environ["ZENTRA_SIDECAR_BIN"], container, tmp_path, log)
        yield container, tmp_path
        process.terminate()
        assert process.wait(40) == 0, (tmp_path / "log").read_text()


def test_the_gateway_serves_and_knows_its_caller_as_the_sidecar_would(gateway):
    container, folder = gateway
    until(lambda: rendered_pod.ask(container, "readinessProbe") == 200, START_SECONDS, "the gateway is ready")
    read = [(folder / name).read_bytes() for name in ("ca.pem", "client-key.pem", "client.pem")]
    port = next(it["containerPort"] for it in container["ports"] if it["name"] == "zentra-grpc")
    with grpc.secure_channel(f"localhost:{port}", grpc.ssl_channel_credentials(*read)) as channel:
        read_a_charge = channel.unary_unary("/zentra.gateway.v1.PaymentService/ListCharges")
        with pytest.raises(grpc.RpcError) as refused:
            read_a_charge(b"", timeout=20)
    # Nobody is at Zentra's address: the call came as far as that.
    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
    told = until(lambda: call_lines(folder), START_SECONDS, "the call's line is written")
    callers = {line["caller"] for line in told}
    beside = dict(helm.pods(helm.render(Values("trial", IMAGES))))["trial-zentra-sidecar-trial"]
    assert callers == {rendered_pod.environment(helm.sidecar(beside))["SIDECAR_CALLER"]} == {"shop/checkout"}


def call_lines(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "log").read_text().splitlines(keepends=True)
            if "list_charges" in line and line.endswith("\n")]
