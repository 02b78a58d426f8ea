"""The payment flow: save a card, charge, verify, renew, refund, read back."""

import grpc
from google.protobuf.duration_pb2 import Duration

from wallet import DECLINED_CARD, TIMEOUT_SECONDS, Wallet, fresh, money, refused
from zentra.gateway.v1 import (
    charge_pb2 as charges,
    execution_pb2 as executions,
    payment_service_pb2 as api,
    refund_pb2 as refunds,
)


def test_a_saved_card_shows_no_more_than_it_may(payments):
    wallet = Wallet(payments)
    token = wallet.token
    assert token.WhichOneof("display") == "card"
    assert (token.card.brand, token.card.last4) == ("visa", "4242")
    assert (token.card.expiry_month, token.card.expiry_year) == (12, 2034)
    assert token.customer_id == wallet.customer_id

    request = api.ListTokensRequest(customer_id=wallet.customer_id)
    listed = payments.ListTokens(request, timeout=TIMEOUT_SECONDS)
    assert list(listed.tokens) == [token]
    assert listed.next_page_token == ""


def test_a_renewal_is_refused_before_the_verify_and_accepted_after_it(payments, sidecar):
    wallet, first, second = Wallet(payments), fresh("order"), fresh("order")
    answer = wallet.charge(first)
    assert answer.charge.status == charges.CHARGE_STATUS_SUCCEEDED
    assert answer.charge.initiator == charges.INITIATOR_CUSTOMER
    assert (answer.charge.reference, answer.charge.provider_status) == (first, "successful")
    assert (answer.charge.amount.amount_minor, answer.charge.amount.currency) == (125_000, "NGN")
    assert (answer.charge.customer_id, answer.charge.payment_token_id) == (wallet.customer_id, wallet.token.id)
    assert answer.execution.environment == executions.ENVIRONMENT_SIMULATED
    assert answer.execution.attempts == 1 and not answer.execution.replayed
    assert not answer.charge.HasField("failure") and answer.charge.HasField("create_time")

    with refused() as early:
        wallet.renew(second)
    assert early.code == grpc.StatusCode.FAILED_PRECONDITION
    assert (early.info.reason, early.info.domain) == ("TOKEN_NOT_READY", "zentra-sidecar")
    told = dict(early.info.metadata)
    # The request's ids differ in each run: they are there, and that is all.
    assert told.pop("request_id") and told.pop("provider_request_id")
    assert told == {
        "money_moved": "no",
        "sent": "true",
        "reference": second,
        "provider_code": "token_not_ready",
    }
    assert early.retry is None and early.pushback == "-1"
    assert sidecar.ledger(second)["charges"] == []

    verified = payments.Verify(api.VerifyRequest(reference=first, wait=Duration(seconds=10)), timeout=TIMEOUT_SECONDS)
    assert verified.token_ready
    assert verified.charge == answer.charge

    renewal = wallet.renew(fresh("order")).charge
    assert renewal.status == charges.CHARGE_STATUS_SUCCEEDED
    assert renewal.initiator == charges.INITIATOR_MERCHANT


def test_a_refund_in_part_then_the_rest_then_no_more(payments, sidecar):
    wallet, order = Wallet(payments), fresh("order")
    wallet.charge(order, 125_000)

    with refused() as beyond:
        wallet.refund(order, money(125_001))
    assert beyond.code == grpc.StatusCode.FAILED_PRECONDITION
    assert beyond.info.reason == "REFUND_EXCEEDS_CHARGE"
    assert beyond.info.metadata["remaining_minor"] == "125000"
    assert beyond.info.metadata["sent"] == "false"

    part = wallet.refund(order, money(25_000), reason="One item was missing").refund
    assert part.status == refunds.REFUND_STATUS_SUCCEEDED
    assert (part.amount.amount_minor, part.amount.currency) == (25_000, "NGN")
    assert (part.charge_reference, part.reason) == (order, "One item was missing")
    read = payments.GetCharge(api.GetChargeRequest(reference=order), timeout=TIMEOUT_SECONDS)
    assert read.charge.status == charges.CHARGE_STATUS_PARTIALLY_REFUNDED

    with refused() as beyond:
        wallet.refund(order, money(100_001))
    # What was given back is counted at the store: nothing is sent.
    assert beyond.code == grpc.StatusCode.FAILED_PRECONDITION
    assert beyond.info.reason == "REFUND_EXCEEDS_CHARGE"
    assert beyond.info.metadata["remaining_minor"] == "100000"
    assert (beyond.info.metadata["money_moved"], beyond.info.metadata["sent"]) == ("no", "false")

    rest = wallet.refund(order).refund
    assert rest.amount.amount_minor == 100_000
    read = payments.GetRefund(api.GetRefundRequest(reference=rest.reference), timeout=TIMEOUT_SECONDS)
    assert read.refund == rest
    read = payments.GetCharge(api.GetChargeRequest(reference=order), timeout=TIMEOUT_SECONDS)
    assert read.charge.status == charges.CHARGE_STATUS_REFUNDED

    effects = [row for row in sidecar.ledger()["refunds"] if row["charge_reference"] == order]
    assert [row["amount_minor"] for row in effects] == [25_000, 100_000]


def test_a_declined_payment_is_an_answer_not_an_error(payments):
    order = fresh("order")
    charge = Wallet(payments, DECLINED_CARD).charge(order).charge
    assert charge.status == charges.CHARGE_STATUS_FAILED
    assert charge.failure.code == "card_declined"
    assert charge.failure.message == "The card's issuer declined the payment."

    with refused() as refusal:
        Wallet(payments).refund(order)
    assert refusal.code == grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.info.reason == "CHARGE_NOT_REFUNDABLE"


def test_charges_are_listed_page_by_page_the_newest_first(payments):
    wallet = Wallet(payments)
    made = [fresh("order") for _ in range(5)]
    for order in made:
        wallet.charge(order)

    listed, page_token = [], ""
    while len(listed) < 5:
        request = api.ListChargesRequest(page_size=2, page_token=page_token)
        page = payments.ListCharges(request, timeout=TIMEOUT_SECONDS)
        assert len(page.charges) == 2
        listed += [charge.reference for charge in page.charges]
        page_token = page.next_page_token
        assert page_token
    assert listed[:5] == made[::-1]

    last = payments.ListCharges(api.ListChargesRequest(page_size=100), timeout=TIMEOUT_SECONDS)
    assert last.next_page_token == "" and len(last.charges) >= 5


def test_what_does_not_exist_is_not_found(payments):
    for call, request in [
        (payments.GetCharge, api.GetChargeRequest(reference=fresh("none"))),
        (payments.Verify, api.VerifyRequest(reference=fresh("none"))),
        (payments.GetRefund, api.GetRefundRequest(reference=fresh("none"))),
    ]:
        with refused() as refusal:
            call(request, timeout=TIMEOUT_SECONDS)
        assert refusal.code == grpc.StatusCode.NOT_FOUND
        assert refusal.info.reason == "NOT_FOUND"
        assert "money_moved" not in refusal.info.metadata
