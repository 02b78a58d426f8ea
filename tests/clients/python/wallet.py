"""Requests and checks that the stories of the tests have in common."""

import contextlib
import itertools
import uuid

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo

from example import error_detail
from zentra.gateway.v1 import payment_service_pb2 as api

GOOD_CARD = "4242424242424242"
DECLINED_CARD = "4000000000000002"
TIMEOUT_SECONDS = 30

# Fresh names in each run, as several suites may share one simulator.
_run = uuid.uuid4().hex[:8]
_numbers = itertools.count(1)


def fresh(prefix: str) -> str:
    """A name that no other test uses."""
    return f"{prefix}-{_run}-{next(_numbers)}"


def money(amount_minor: int, currency: str = "NGN") -> dict:
    return {"amount_minor": amount_minor, "currency": currency}


def card(number: str) -> dict:
    return {"number": number, "expiry_month": 12, "expiry_year": 2034, "cvv": "123", "holder_name": "Ada Obi"}


class Wallet:
    """A customer with one saved card, who pays by it."""

    def __init__(self, payments, number: str = GOOD_CARD):
        self.payments = payments
        self.customer_id = fresh("cust")
        request = api.TokenizeRequest(
            idempotency_key=fresh("key"), customer_id=self.customer_id, card=card(number), actor="python tests"
        )
        self.token = payments.Tokenize(request, timeout=TIMEOUT_SECONDS).token

    def charge_request(self, reference: str, amount_minor: int = 125_000, **changes) -> api.ChargeRequest:
        return api.ChargeRequest(**self._payment(reference, amount_minor, changes))

    def charge(self, reference: str, amount_minor: int = 125_000, **changes) -> api.ChargeResponse:
        request = self.charge_request(reference, amount_minor, **changes)
        return self.payments.Charge(request, timeout=TIMEOUT_SECONDS)

    def renew(self, reference: str, amount_minor: int = 125_000, **changes) -> api.RenewResponse:
        request = api.RenewRequest(**self._payment(reference, amount_minor, changes))
        return self.payments.Renew(request, timeout=TIMEOUT_SECONDS)

    def verify(self, reference: str) -> api.VerifyResponse:
        return self.payments.Verify(api.VerifyRequest(reference=reference), timeout=TIMEOUT_SECONDS)

    def refund(self, charge_reference: str, amount=None, **changes) -> api.RefundResponse:
        fields = {
            "idempotency_key": fresh("key"),
            "reference": fresh("refund"),
            "charge_reference": charge_reference,
            "amount": amount,
            "actor": "python tests",
        }
        return self.payments.Refund(api.RefundRequest(**fields | changes), timeout=TIMEOUT_SECONDS)

    def _payment(self, reference: str, amount_minor: int, changes: dict) -> dict:
        return {
            "idempotency_key": fresh("key"),
            "reference": reference,
            "amount": money(amount_minor),
            "customer_id": self.customer_id,
            "payment_token_id": self.token.id,
            "actor": "python tests",
        } | changes


class Refusal:
    """An error as a stock client decodes it; filled when the block of `refused` ends."""

    def __init__(self):
        self.code = self.message = self.info = self.fields = self.retry = self.pushback = None


@contextlib.contextmanager
def refused():
    """Expects the call inside to fail, and decodes how."""
    refusal = Refusal()
    with pytest.raises(grpc.RpcError) as caught:
        yield refusal
    error = caught.value
    refusal.code, refusal.message = error.code(), error.details()
    refusal.info = error_detail(error, ErrorInfo)
    refusal.retry = error_detail(error, RetryInfo)
    bad_request = error_detail(error, BadRequest)
    refusal.fields = [violation.field for violation in bad_request.field_violations] if bad_request else []
    trailers = {key: value for key, value in error.trailing_metadata()}
    refusal.pushback = trailers.get("grpc-retry-pushback-ms")
