"""The sidecar at a Unix socket, called by a stock client."""

import shutil
import subprocess

import grpc
import pytest

import sidecar as program
from wallet import TIMEOUT_SECONDS, Wallet, fresh, refused
from zentra.gateway.v1 import charge_pb2 as charges
from zentra.gateway.v1 import payment_service_pb2_grpc

# grpcio sends the socket's path as the authority unless it is told another name, and HTTP/2 takes
# no path for one.
LOCALHOST = [("grpc.default_authority", "localhost")]


@pytest.fixture(scope="module")
def at_socket(tmp_path_factory):
    socket = tmp_path_factory.mktemp("run") / "sidecar.sock"
    running = program.Sidecar(listen=f"unix:{socket}")
    yield running
    assert running.stop() == 0, running.log()
    assert not socket.exists()


def test_a_charge_over_a_unix_socket(at_socket):
    with grpc.insecure_channel(at_socket.address, LOCALHOST) as channel:
        wallet = Wallet(payment_service_pb2_grpc.PaymentServiceStub(channel))
        order = fresh("order")
        charge = wallet.charge(order).charge
    assert charge.status == charges.CHARGE_STATUS_SUCCEEDED
    assert [made["reference"] for made in at_socket.ledger(order)["charges"]] == [order]


def test_without_a_name_for_the_authority_the_call_is_refused_and_nothing_happens(at_socket):
    order = fresh("order")
    with grpc.insecure_channel(at_socket.address, LOCALHOST) as channel:
        wallet = Wallet(payment_service_pb2_grpc.PaymentServiceStub(channel))
    with grpc.insecure_channel(at_socket.address) as channel:
        wallet.payments = payment_service_pb2_grpc.PaymentServiceStub(channel)
        with refused() as refusal:
            wallet.charge(order)
    assert (refusal.code, refusal.info) == (grpc.StatusCode.INTERNAL, None), refusal.message
    assert seen_of(at_socket, order) == []
    with grpc.insecure_channel(at_socket.address, LOCALHOST) as channel:
        wallet.payments = payment_service_pb2_grpc.PaymentServiceStub(channel)
        wallet.charge(order)
    assert seen_of(at_socket, order) == ["charges", "posts"]


def seen_of(at_socket, reference: str) -> list[str]:
    """Which parts of Zentra's ledger know a payment: what it did, what arrived, what was asked."""
    ledger = at_socket.ledger(reference)
    return sorted(part for part in ("charges", "posts", "reads", "refunds") if ledger[part])


def test_grpcurl_over_a_unix_socket(at_socket):
    command = [shutil.which("grpcurl") or "grpcurl", "-plaintext", "-unix", "-authority", "localhost"]
    path = at_socket.address.removeprefix("unix:")
    listed = subprocess.run([*command, path, "list"], capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    assert listed.returncode == 0, listed.stderr
    assert "zentra.gateway.v1.PaymentService" in listed.stdout.splitlines()
