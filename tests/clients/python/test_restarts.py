"""A client with the published service config, while sidecars end and begin."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

import example
import fleet as fleets
import stubs
from fleet import until
from wallet import TIMEOUT_SECONDS, Wallet, refused
from zentra.gateway.v1 import payment_service_pb2_grpc

CONFIG = stubs.ROOT / "proto" / "service_config.json"
CALLERS = 8
# Longer than the four attempts of one call take at most.
DRAIN_MILLISECONDS = 3000


@pytest.fixture
def fleet(tmp_path):
    fleet = fleets.Fleet(tmp_path)
    yield fleet
    fleet.stop()


def payments(channel):
    return payment_service_pb2_grpc.PaymentServiceStub(channel)


def charge(channel, wallet, reference, **how):
    """A payment under the key of its reference."""
    request = wallet.charge_request(reference, idempotency_key=reference)
    return payments(channel).Charge(request, timeout=TIMEOUT_SECONDS, **how)


def customer(port):
    with example.connect(f"127.0.0.1:{port}") as channel:
        return Wallet(payments(channel))


def under_way(fleet, port, wallet, pool, reference, milliseconds):
    """A payment through this one sidecar that takes so long."""
    fleet.slow(reference, milliseconds)

    def pay():
        with example.connect(f"127.0.0.1:{port}") as channel:
            return charge(channel, wallet, reference)

    paying = pool.submit(pay)
    until(lambda: fleet.has_arrived(reference), "the slow charge arrives")
    return paying


def behind_one_name(ports):
    """A channel to all of them, as a name gives that resolves to several addresses."""
    name = "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports)
    # The list is no name, and could not be the calls' authority.
    options = [("grpc.service_config", CONFIG.read_text()), ("grpc.default_authority", "localhost")]
    return grpc.insecure_channel(name, options)


def terminate(process, port):
    """Ends it, and waits until the end has begun."""
    fleets.terminate(process)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        until(lambda: not is_serving(channel), "the end begins")


def is_serving(channel):
    # The request is an empty message; SERVING is 1 in the answer's first field.
    check = channel.unary_unary("/grpc.health.v1.Health/Check")
    try:
        return check(b"", timeout=TIMEOUT_SECONDS) == b"\x08\x01"
    except grpc.RpcError:
        return False


class Load:
    """Payments, one after the other by each caller, until it is stopped."""

    def __init__(self, channel, wallet, pool, **how):
        self.made, self._stop = [], threading.Event()
        self._calls = [pool.submit(self._run, channel, wallet, number, how) for number in range(CALLERS)]

    def _run(self, channel, wallet, caller, how):
        number = 0
        while not self._stop.is_set():
            reference = f"caller-{caller}-{number}"
            charge(channel, wallet, reference, **how)
            self.made.append(reference)
            number += 1

    def goes_on(self):
        """Waits until each caller has had time for a few more."""
        target = len(self.made) + 5 * CALLERS
        until(lambda: len(self.made) >= target or self._failed(), "payments are made")

    def _failed(self):
        return any(call.done() for call in self._calls)

    def stop(self):
        """Every call was answered OK: the first that was not is raised here."""
        self._stop.set()
        for call in self._calls:
            call.result(TIMEOUT_SECONDS)


def each_once(fleet, references):
    charged = [row["reference"] for row in fleet.ledger()["charges"]]
    assert len(charged) == len(set(charged))
    assert set(references) <= set(charged)


def test_of_two_sidecars_behind_one_name_one_may_end_under_load(fleet):
    ports = [fleets.free_port() for _ in range(2)]
    ending, _staying = [fleet.sidecar(port) for port in ports]
    wallet = customer(ports[0])
    with ThreadPoolExecutor(CALLERS + 1) as pool, behind_one_name(ports) as channel:
        load = Load(channel, wallet, pool)
        load.goes_on()
        slow = under_way(fleet, ports[0], wallet, pool, "slow", DRAIN_MILLISECONDS)
        terminate(ending, ports[0])
        assert slow.result(TIMEOUT_SECONDS).execution.attempts == 1
        assert ending.wait(TIMEOUT_SECONDS) == 0
        load.goes_on()
        load.stop()
    each_once(fleet, load.made)


def test_a_restart_behind_one_address_is_waited_for_by_those_who_ask_to(fleet):
    port = fleets.free_port()
    ending = fleet.sidecar(port)
    wallet = customer(port)
    with ThreadPoolExecutor(CALLERS) as pool, example.connect(f"127.0.0.1:{port}", CONFIG) as channel:
        load = Load(channel, wallet, pool, wait_for_ready=True)
        load.goes_on()
        fleets.terminate(ending)
        assert ending.wait(TIMEOUT_SECONDS) == 0
        fleet.sidecar(port)
        load.goes_on()
        load.stop()
    each_once(fleet, load.made)


def test_a_call_does_not_spend_its_attempts_at_once_on_a_sidecar_that_ends(fleet):
    port = fleets.free_port()
    ending = fleet.sidecar(port)
    wallet = customer(port)
    with ThreadPoolExecutor(1) as pool, example.connect(f"127.0.0.1:{port}", CONFIG) as channel:
        charge(channel, wallet, "before")
        slow = under_way(fleet, port, wallet, pool, "slow", DRAIN_MILLISECONDS)
        terminate(ending, port)
        began = time.monotonic()
        with refused() as refusal:
            charge(channel, wallet, "late")
        took = time.monotonic() - began
        slow.result(TIMEOUT_SECONDS)
        # Between each two of its four attempts, a connection that was greeted late.
        assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
        assert took > 0.7
        assert ending.wait(TIMEOUT_SECONDS) == 0
        fleet.sidecar(port)
        # The same key again, as soon as there is somebody to hear it.
        charge(channel, wallet, "late", wait_for_ready=True)
    each_once(fleet, ["before", "slow", "late"])
    assert len([row for row in fleet.ledger()["posts"] if row["reference"] == "late"]) == 1
