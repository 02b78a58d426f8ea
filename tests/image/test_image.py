"""The images: what is in them, and that they start, reach everything by name, serve and drain."""

import json
import pathlib
import threading
import urllib.error
import urllib.request

import grpc
import pytest

import helm
import network
import rendered_pod
from zentra.gateway.v1 import charge_pb2, payment_service_pb2, payment_service_pb2_grpc

MAX_BYTES = 20_000_000
START_SECONDS = 30
API = "127.0.0.1:50051"
ADMIN = "http://127.0.0.1:9464"
SIMULATOR = "http://127.0.0.1:8089"
CARD = {"number": "4242424242424242", "expiry_month": 12, "expiry_year": 2034, "cvv": "123"}


def status(address: str) -> int:
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return 0


def post(address: str, body: dict) -> None:
    urllib.request.urlopen(address, data=json.dumps(body).encode(), timeout=5).close()


def test_production_holds_the_program_the_roots_and_the_bill_of_materials(production):
    assert production.files().keys() == {"zentra-sidecar", "etc/ssl/certs/ca-certificates.crt", "sbom.cdx.json"}
    assert production.config["User"] == "65532:65532"
    assert production.config["Entrypoint"] == ["/zentra-sidecar"]
    assert production.config["Cmd"] == ["serve"]


def test_production_is_small(production):
    assert sum(production.files().values()) <= MAX_BYTES


def test_production_has_no_simulator_and_dev_has(production, dev):
    word = b"sk_simulated_0000000000000000"
    assert word not in (production.root / "zentra-sidecar").read_bytes()
    assert word in (dev.root / "zentra-sidecar").read_bytes()


def test_the_bill_of_materials_names_what_is_linked(production):
    bill = json.loads((production.root / "sbom.cdx.json").read_text())
    assert bill["metadata"]["component"]["name"] == "zentra-sidecar"
    names = {it["name"] for it in bill["components"]}
    assert {"tonic", "redis", "rustls", "ring"} <= names
    # Neither what only builds the program nor what only tests it.
    assert not {"protox", "proptest", "insta", "serde_derive"} & names
    assert all(it["hashes"] for it in bill["components"])


@pytest.fixture
def world(production, dev, loopback, tmp_path, until):
    """Zentra behind TLS, Redis and a name server; and the production image as the chart would run it."""
    names = network.Names().serve()
    redis = network.redis(tmp_path)
    simulator = dev.instance(tmp_path / "dev")
    simulator.start(["simulate"], {"SIMULATOR_LISTEN": "127.0.0.1:8089"})
    until(lambda: status(f"{SIMULATOR}/_simulator/ledger") == 200, START_SECONDS, "the simulator serves")
    front = network.TlsFront(("127.0.0.1", 8089))

    values = helm.Values("gateway", {"mode": "include", **helm.IMAGES, "cardData": "accept",
                                     "zentra": {"url": "https://zentra.test"},
                                     "store": {"url": "redis://redis.test", "passwordSecret": {"name": ""},
                                               "caConfigMap": {"name": ""}},
                                     "policy": {"files": None}, "openTelemetry": None})
    pod = included(values)
    instance = production.instance(tmp_path / "production")
    secrets = {"zentra": {"zentra-key": "sk_simulated_0000000000000000", "fingerprint-keys": rendered_pod.random_key()}}
    rendered_pod.mount(pod, helm.sidecar(pod), secrets, instance.root)
    yield World(names, front, instance, helm.sidecar(pod))
    for process in (instance.process, simulator.process, redis):
        if process and process.poll() is None:
            process.kill()
            process.wait(10)
    names.stop()
    front.stop()


def included(values: helm.Values) -> dict:
    """The pod of a service that includes the sidecar: the trial's, whose Zentra is in the same pod."""
    changes = {**values.changes, "zentra": {"url": "http://127.0.0.1:8089"}}
    pod = dict(helm.pods(helm.render(helm.Values("trial", changes))))["trial-zentra-sidecar-trial"]
    for it in helm.sidecar(pod)["env"]:
        if it["name"] == "ZENTRA_URL":
            it["value"] = values.changes["zentra"]["url"]
    return pod


class World:
    def __init__(self, names, front, instance, container):
        self.names = names
        self.front = front
        self.instance = instance
        self.container = container

    def trust_zentra(self):
        """Adds the test's root to the image's, where a cluster would mount its own."""
        roots = self.instance.root / "etc/ssl/certs/ca-certificates.crt"
        roots.write_bytes(roots.read_bytes() + self.front.authority.cert_pem.bytes())

    def start(self, until):
        self.instance.start(self.container["args"], rendered_pod.environment(self.container))
        until(lambda: self.instance.process.poll() is not None or status(f"{ADMIN}/readyz") == 200,
              START_SECONDS, "the image serves")
        assert self.instance.process.poll() is None, self.instance.log()


def charge(payments, order: str, wait: float = 20):
    token = payments.Tokenize(payment_service_pb2.TokenizeRequest(
        idempotency_key=f"{order}:token", customer_id="cust_ada", card=CARD), timeout=20).token
    return payments.Charge(payment_service_pb2.ChargeRequest(
        idempotency_key=f"{order}:charge", reference=order, customer_id="cust_ada", payment_token_id=token.id,
        amount={"amount_minor": 125_000, "currency": "NGN"}), timeout=wait).charge


def test_production_starts_pays_by_name_over_tls_and_drains(world, until):
    world.trust_zentra()
    world.start(until)
    with grpc.insecure_channel(API) as channel:
        payments = payment_service_pb2_grpc.PaymentServiceStub(channel)
        assert charge(payments, "image-1").status == charge_pb2.CHARGE_STATUS_SUCCEEDED
        assert {"zentra.test.", "redis.test."} <= set(world.names.asked)

        # SIGTERM while a payment is under way: it ends, and so does the process.
        post(f"{SIMULATOR}/_simulator/faults", {"route": "create_charge", "kind": "delay_before", "ms": 1500})
        answers = []
        caller = threading.Thread(target=lambda: answers.append(charge(payments, "image-2")))
        caller.start()
        until(lambda: "image-2" in ledger(), 10, "the charge has reached Zentra")
        code = world.instance.end()
        caller.join(20)
    assert [it.status for it in answers] == [charge_pb2.CHARGE_STATUS_SUCCEEDED], world.instance.log()
    assert code == 0, world.instance.log()


def ledger() -> str:
    with urllib.request.urlopen(f"{SIMULATOR}/_simulator/ledger", timeout=5) as answer:
        return answer.read().decode()


def test_production_trusts_the_roots_it_brings_and_no_other(world, until):
    world.start(until)
    with grpc.insecure_channel(API) as channel:
        payments = payment_service_pb2_grpc.PaymentServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            charge(payments, "image-3")
    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "image-3" not in ledger()


def test_dev_serves_as_it_is(dev, loopback, tmp_path, until):
    instance = dev.instance(tmp_path / "dev")
    instance.start()
    try:
        until(lambda: status(f"{ADMIN}/readyz") == 200, START_SECONDS, "the image serves")
        with grpc.insecure_channel(API) as channel:
            payments = payment_service_pb2_grpc.PaymentServiceStub(channel)
            assert charge(payments, "dev-1").status == charge_pb2.CHARGE_STATUS_SUCCEEDED
        assert instance.end() == 0
    finally:
        instance.process.kill()
    # Its own health check, as Docker would ask.
    check = dev.config.get("Healthcheck", {}).get("Test")
    assert check is None or check[:2] == ["CMD", "/zentra-sidecar"]
    assert pathlib.Path(dev.root / "zentra-sidecar").stat().st_size <= MAX_BYTES
