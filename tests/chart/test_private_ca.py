"""An authority of one's own, told to the program by the chart: it is trusted, and no other is."""

import os

import grpc
import pytest
import trustme
import yaml

import helm
import rendered_pod
from local import START_SECONDS, free_port, until
from tls_listener import TlsListener

# How rustls says that it knows nobody who signed: not that a name, a date or a key is wrong.
UNKNOWN_AUTHORITY = "TLSV1_ALERT_UNKNOWN_CA"


@pytest.fixture
def zentra():
    listener = TlsListener(("127.0.0.1", 0), "127.0.0.1")
    yield listener
    listener.stop()


@pytest.fixture
def call(charts, zentra, tmp_path):
    """Runs the sidecar of the example's service, with a ConfigMap of authorities, and makes one call."""
    processes = []

    def run(authorities: trustme.CA) -> None:
        values = {"zentra": {"url": f"https://127.0.0.1:{zentra.port}", "caConfigMap": {"name": "zentra-ca", "key": "roots.pem"}},
                  "sidecar": {"port": free_port(), "adminPort": free_port()}}
        done = helm.run("template", "shop", str(charts), "--values", "-", given=yaml.safe_dump({"zentra-sidecar": values}))
        assert done.returncode == 0, done.stderr
        pod = helm.one(helm.objects(done.stdout), "Deployment")["spec"]["template"]["spec"]
        container = helm.sidecar(pod)
        given = {"zentra": {"zentra-key": "sk_simulated_0000000000000000", "fingerprint-keys": rendered_pod.random_key()},
                 "zentra-ca": {"roots.pem": authorities.cert_pem.bytes().decode()}}
        rendered_pod.mount(pod, container, given, tmp_path)
        with (tmp_path / "log").open("w") as log:
            processes.append(rendered_pod.start(os.environ["ZENTRA_SIDECAR_BIN"], container, tmp_path, log))
        until(lambda: rendered_pod.ask(container, "livenessProbe") == 200, START_SECONDS, "the sidecar runs")
        with grpc.insecure_channel(f"127.0.0.1:{values['sidecar']['port']}") as channel:
            read = channel.unary_unary("/zentra.gateway.v1.PaymentService/ListCharges")
            with pytest.raises(grpc.RpcError) as refused:
                # Reads need no store; nobody answers behind the listener.
                read(b"", timeout=20, wait_for_ready=True)
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE, (tmp_path / "log").read_text()

    yield run
    for process in processes:
        process.terminate()
        process.wait(START_SECONDS)


def test_the_authority_of_the_config_map_is_trusted(call, zentra):
    call(zentra.authority)
    assert set(zentra.handshakes) == {"trusted"}


def test_another_authority_is_the_one_reason_for_a_refusal(call, zentra):
    call(trustme.CA())
    assert set(zentra.handshakes) == {UNKNOWN_AUTHORITY}
