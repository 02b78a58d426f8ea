"""What the tests share: generated stubs, one running sidecar, and one channel to it."""

import grpc
import pytest

import stubs

stubs.generate()

import example  # noqa: E402  (needs the stubs)
import sidecar as program  # noqa: E402
from zentra.gateway.v1 import payment_service_pb2_grpc  # noqa: E402


@pytest.fixture(scope="session")
def sidecar():
    running = program.Sidecar()
    yield running
    assert running.stop() == 0, running.log()


@pytest.fixture(scope="session")
def channel(sidecar):
    with example.connect(sidecar.address) as channel:
        grpc.channel_ready_future(channel).result(timeout=20)
        yield channel


@pytest.fixture(scope="session")
def payments(channel):
    return payment_service_pb2_grpc.PaymentServiceStub(channel)
