"""Every fault of a request is told at once, by its field; nothing of a card is ever repeated."""

import grpc
import pytest

from wallet import TIMEOUT_SECONDS, card, fresh, money, refused
from zentra.gateway.v1 import payment_service_pb2 as api

HIDDEN_CARD = "4111 1111 1111 1111"

# The request, and the fields that are at fault in it, in the order of the message.
FAULTS = {
    "an empty charge": (
        "Charge",
        api.ChargeRequest(),
        ["idempotency_key", "reference", "amount", "customer_id", "payment_token_id"],
    ),
    "every field of a charge": (
        "Charge",
        api.ChargeRequest(
            idempotency_key="..",
            reference="../x",
            amount=money(-1, "ngn"),
            customer_id="a b",
            payment_token_id="t" * 129,
            actor="ada\n",
        ),
        [
            "idempotency_key", "reference", "amount.amount_minor", "amount.currency", "customer_id",
            "payment_token_id", "actor",
        ],
    ),
    "a renewal of nothing": (
        "Renew",
        api.RenewRequest(
            idempotency_key="k", reference="r", amount=money(0), customer_id="c", payment_token_id="t"
        ),
        ["amount.amount_minor"],
    ),
    "every field of a card": (
        "Tokenize",
        api.TokenizeRequest(
            idempotency_key="k",
            customer_id="c",
            card={
                "number": "4242424242424241",
                "expiry_month": 13,
                "expiry_year": 26,
                "cvv": "12",
                "holder_name": HIDDEN_CARD,
            },
        ),
        ["card.number", "card.expiry_month", "card.expiry_year", "card.cvv", "card.holder_name"],
    ),
    "every field of a bank account": (
        "Tokenize",
        api.TokenizeRequest(
            idempotency_key="k",
            customer_id="c",
            bank_account={"account_number": "12 34", "bank_code": "", "account_name": "a\tb"},
        ),
        ["bank_account.account_number", "bank_account.bank_code", "bank_account.account_name"],
    ),
    "no payment method": (
        "Tokenize",
        api.TokenizeRequest(idempotency_key="k", customer_id="c"),
        ["payment_method"],
    ),
    "a card number where none belongs": (
        "Refund",
        api.RefundRequest(
            idempotency_key="4111111111111111",
            reference="order-4111-1111-1111-1111",
            charge_reference="r",
            amount=money(1, "XXQ"),
            reason=HIDDEN_CARD,
            actor=HIDDEN_CARD,
        ),
        ["idempotency_key", "reference", "amount.currency", "reason", "actor"],
    ),
    "a verify": ("Verify", api.VerifyRequest(reference="?", wait={"seconds": -1}), ["reference", "wait"]),
    "a read": ("GetCharge", api.GetChargeRequest(reference="%2e%2e"), ["reference"]),
    "a list": (
        "ListTokens",
        api.ListTokensRequest(customer_id="a/b", page_size=-1, page_token="rubbish"),
        ["customer_id", "page_size", "page_token"],
    ),
}


@pytest.mark.parametrize("method, request_message, fields", FAULTS.values(), ids=FAULTS.keys())
def test_every_fault_is_told_at_once(payments, sidecar, method, request_message, fields):
    posts = len(sidecar.ledger()["posts"])
    with refused() as refusal:
        getattr(payments, method)(request_message, timeout=TIMEOUT_SECONDS)
    assert refusal.code == grpc.StatusCode.INVALID_ARGUMENT
    assert (refusal.info.reason, refusal.info.domain) == ("INVALID_REQUEST", "zentra-sidecar")
    assert refusal.fields == fields
    assert refusal.pushback == "-1" and refusal.retry is None
    assert len(sidecar.ledger()["posts"]) == posts


def test_nothing_of_a_refused_card_is_repeated(payments, sidecar):
    number, code, name = "5555555555554443", "98765", "Adaeze Okonkwo\n"
    details = card(number) | {"cvv": code, "holder_name": name, "expiry_year": 2001}
    request = api.TokenizeRequest(idempotency_key=fresh("key"), customer_id="c", card=details)
    with pytest.raises(grpc.RpcError) as caught:
        payments.Tokenize(request, timeout=TIMEOUT_SECONDS)
    told = repr(caught.value) + repr(caught.value.trailing_metadata()) + sidecar.log()
    for secret in (number, number[:12], code, "Okonkwo", "Adaeze"):
        assert secret not in told
