"""The published service config is understood by a stock client: what may be retried is, within
bounds, and nothing else is. A small server counts the attempts."""

import collections
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

import example
import stubs
from wallet import TIMEOUT_SECONDS
from zentra.gateway.v1 import payment_service_pb2 as api, payment_service_pb2_grpc


class Counting(payment_service_pb2_grpc.PaymentServiceServicer):
    """Refuses with the code that the reference names, so many times as it says, then answers."""

    def __init__(self):
        self.attempts = collections.Counter()

    def GetCharge(self, request, context):
        code, times, pushback = request.reference.split(":")
        self.attempts[request.reference] += 1
        if self.attempts[request.reference] <= int(times):
            context.set_trailing_metadata([("grpc-retry-pushback-ms", pushback)])
            context.abort(grpc.StatusCode[code], "not yet")
        return api.GetChargeResponse()


# A channel for each test: one that has seen many refusals stops retrying altogether.
@pytest.fixture
def counting():
    server = grpc.server(ThreadPoolExecutor(4))
    servicer = Counting()
    payment_service_pb2_grpc.add_PaymentServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with example.connect(f"127.0.0.1:{port}", stubs.ROOT / "proto" / "service_config.json") as channel:
        yield servicer, payment_service_pb2_grpc.PaymentServiceStub(channel)
    server.stop(None)


# How often it is refused, what the server says about trying again, and the attempts expected.
@pytest.mark.parametrize(
    "code, refusals, pushback, attempts",
    [
        ("UNAVAILABLE", 2, "1", 3),
        ("ABORTED", 2, "1", 3),
        ("UNAVAILABLE", 9, "1", 4),
        ("UNAVAILABLE", 9, "-1", 1),
        ("FAILED_PRECONDITION", 9, "1", 1),
        ("INVALID_ARGUMENT", 9, "1", 1),
        ("UNKNOWN", 9, "1", 1),
        ("RESOURCE_EXHAUSTED", 9, "1", 1),
        ("DEADLINE_EXCEEDED", 9, "1", 1),
    ],
)
def test_only_what_may_be_retried_is(counting, code, refusals, pushback, attempts):
    servicer, payments = counting
    reference = f"{code}:{refusals}:{pushback}"
    call = lambda: payments.GetCharge(api.GetChargeRequest(reference=reference), timeout=TIMEOUT_SECONDS)
    if attempts > refusals:
        call()
    else:
        with pytest.raises(grpc.RpcError) as caught:
            call()
        assert caught.value.code() == grpc.StatusCode[code]
    assert servicer.attempts[reference] == attempts
