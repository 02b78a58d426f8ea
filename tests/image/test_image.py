"""The images: what is in them, and that they start, reach everything by name, serve and drain."""

import contextlib
import json
import threading
import urllib.error
import urllib.request

import grpc
import pytest
import yaml

import helm
import network
import rendered_pod
from zentra.gateway.v1 import charge_pb2, payment_service_pb2, payment_service_pb2_grpc

# The goal of docs/IMAGES.md.
MAX_BYTES = 20_000_000
START_SECONDS = 30
API = "127.0.0.1:50051"
ADMIN = "http://127.0.0.1:9464"
SIMULATOR = "http://127.0.0.1:8089"
# One signal by each of the two protocols.
TELEMETRY = {
    "OTEL_TRACES_SAMPLER": "always_on",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector.test:4317",
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/protobuf",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector.test:4318/v1/metrics",
    "OTEL_METRIC_EXPORT_INTERVAL": "200",
}
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


@pytest.mark.parametrize("name", ["production", "dev"])
def test_they_are_small(name, request):
    size = sum(request.getfixturevalue(name).files().values())
    print(f"{name}: {size:,} bytes")
    assert size <= MAX_BYTES


def test_production_has_no_simulator_and_dev_has(production, dev):
    word = b"sk_simulated_0000000000000000"
    assert word not in (production.root / "zentra-sidecar").read_bytes()
    assert word in (dev.root / "zentra-sidecar").read_bytes()


def test_the_bill_of_materials_names_what_is_linked(production):
    bill = json.loads((production.root / "sbom.cdx.json").read_text())
    assert bill["metadata"]["component"]["name"] == "zentra-sidecar"
    names = {it["name"] for it in bill["components"]}
    assert {"tonic", "redis", "rustls", "ring", "certifi"} <= names
    assert len({"glibc", "musl"} & names) == 1
    # Neither what only builds the program nor what only tests it.
    assert not {"protox", "proptest", "insta", "serde_derive"} & names
    assert all(it["hashes"] for it in bill["components"])


@pytest.mark.parametrize("name", ["production", "dev"])
def test_operators_type_the_programs_name_as_it_is(name, request, tmp_path):
    instance = request.getfixturevalue(name).instance(tmp_path / name)
    instance.start(["--version"])
    assert instance.process.wait(START_SECONDS) == 0, instance.log()
    # As `kubectl exec` does: without a shell, and by the PATH that the image brings, which finds that alone.
    assert instance.execute(["zentra-sidecar", "--version"]) == 0
    assert instance.execute(["no-such-program", "--version"]) == 127


@pytest.fixture
def world(production, dev, loopback, tmp_path, until):
    """Zentra behind TLS, Redis and a name server; and the production image as the chart would run it."""
    # Also where the rest cannot be set up, nothing is left running.
    with contextlib.ExitStack() as ends:
        names = network.Names().serve()
        ends.callback(names.stop)
        redis = network.redis(tmp_path)
        ends.callback(end, redis)
        simulator = dev.instance(tmp_path / "dev")
        ends.callback(lambda: end(simulator.process))
        simulator.start(["simulate"], {"SIMULATOR_LISTEN": "127.0.0.1:8089"})
        until(lambda: status(f"{SIMULATOR}/_simulator/ledger") == 200, START_SECONDS, "the simulator serves")
        front = network.TlsFront(("127.0.0.1", 8089))
        ends.callback(front.stop)
        collector = network.Collector()
        ends.callback(collector.stop)

        values = helm.Values("gateway", {"mode": "include", **helm.IMAGES, "cardData": "accept",
                                         "zentra": {"url": "https://zentra.test"},
                                         "store": {"url": "redis://redis.test", "passwordSecret": {"name": ""},
                                                   "caConfigMap": {"name": ""}},
                                         "openTelemetry": TELEMETRY})
        pod = included(values)
        instance = production.instance(tmp_path / "production")
        ends.callback(lambda: end(instance.process))
        secrets = {"zentra": {"zentra-key": "sk_simulated_0000000000000000",
                              "fingerprint-keys": rendered_pod.random_key()}}
        rendered_pod.mount(pod, helm.sidecar(pod), secrets, instance.root)
        yield World(names, front, collector, instance, helm.sidecar(pod))


def end(process) -> None:
    if process and process.poll() is None:
        process.kill()
        process.wait(10)


def included(values: helm.Values) -> dict:
    """The pod of a service that includes the sidecar: the trial's, whose Zentra is in the same pod."""
    changes = {**values.changes, "zentra": {"url": "http://127.0.0.1:8089"}}
    pod = dict(helm.pods(helm.render(helm.Values("trial", changes))))["trial-zentra-sidecar-trial"]
    for it in helm.sidecar(pod)["env"]:
        if it["name"] == "ZENTRA_URL":
            it["value"] = values.changes["zentra"]["url"]
    return pod


class World:
    def __init__(self, names, front, collector, instance, container):
        self.names = names
        self.front = front
        self.collector = collector
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
    # What it had to tell has left by then.
    told = {"/opentelemetry.proto.collector.trace.v1.TraceService/Export", "/v1/metrics"}
    assert told <= set(world.collector.called), world.instance.log()
    assert {"zentra.test.", "redis.test.", "collector.test."} <= set(world.names.asked)


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
    # It came as far as the certificate, and nothing else was wrong with that than who signed it.
    assert set(world.front.handshakes) == {"TLSV1_ALERT_UNKNOWN_CA"}


@pytest.fixture
def dev_instance(dev, loopback, tmp_path):
    instance = dev.instance(tmp_path / "dev")
    yield instance
    if instance.process and instance.process.poll() is None:
        instance.process.kill()
        instance.process.wait(10)


def pays(order: str) -> bool:
    with grpc.insecure_channel(API) as channel:
        payments = payment_service_pb2_grpc.PaymentServiceStub(channel)
        return charge(payments, order).status == charge_pb2.CHARGE_STATUS_SUCCEEDED


def test_dev_serves_as_it_is(dev_instance, until):
    dev_instance.start()
    until(lambda: status(f"{ADMIN}/readyz") == 200, START_SECONDS, f"the image serves: {dev_instance.log()}")
    assert pays("dev-1")
    assert dev_instance.end() == 0, dev_instance.log()


def test_dev_serves_as_the_compose_file_says(dev, dev_instance, until):
    [service] = yaml.safe_load((helm.ROOT / "deploy/compose.yaml").read_text())["services"].values()
    version = yaml.safe_load((helm.CHART / "Chart.yaml").read_text())["appVersion"]
    assert service["image"] == f"zentra-sidecar-dev:{version}"
    dev_instance.start(service["command"], service["environment"])
    check = service["healthcheck"]["test"]
    assert check[0] == "CMD" and check == dev.config["Healthcheck"]["Test"]
    until(lambda: dev_instance.execute(check[1:]) == 0, START_SECONDS, "the health check succeeds")
    assert pays("compose-1")
    # Each port that is published is one that the image serves on all of its addresses.
    inside = {entry.rsplit(":", 1)[1] for entry in service["ports"]}
    assert {f"{port}/tcp" for port in inside} == dev.config["ExposedPorts"].keys()
    served = [dev.config["Env"][index].rsplit("=", 1)[1] for index in range(len(dev.config["Env"]))]
    assert {f"0.0.0.0:{port}" for port in inside} <= set(served)
    dev_instance.end()
    assert dev_instance.execute(check[1:]) != 0


def test_the_ci_snippet_publishes_what_dev_serves(dev):
    text = (helm.ROOT / "docs/IMAGES.md").read_text()
    snippet = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    service = snippet["jobs"]["test"]["services"]["payments"]
    inside = {entry.rsplit(":", 1)[1] for entry in service["ports"]}
    assert {f"{port}/tcp" for port in inside} == dev.config["ExposedPorts"].keys()
    # The job waits for the image's own check.
    assert dev.config["Healthcheck"]["Test"][:3] == ["CMD", "/zentra-sidecar", "health"]
