"""The same key is the same payment, however often it is sent."""

from concurrent.futures import ThreadPoolExecutor

import grpc

from wallet import TIMEOUT_SECONDS, Wallet, fresh, money, refused
from zentra.gateway.v1 import charge_pb2 as charges, execution_pb2 as executions


def test_the_same_key_again_has_no_second_effect(payments, sidecar):
    wallet, order = Wallet(payments), fresh("order")
    request = wallet.charge_request(order)
    first = payments.Charge(request, timeout=TIMEOUT_SECONDS)
    again = payments.Charge(request, timeout=TIMEOUT_SECONDS)
    assert again.charge == first.charge
    assert (first.execution.path, first.execution.replayed) == (executions.EXECUTION_PATH_DIRECT, False)
    assert (again.execution.path, again.execution.replayed) == (executions.EXECUTION_PATH_REPLAYED, True)
    assert again.execution.attempts == 1

    ledger = sidecar.ledger(order)
    assert [row["reference"] for row in ledger["charges"]] == [order]
    assert len(ledger["posts"]) == 1


def test_an_answer_lost_on_the_way_is_found_again(payments, sidecar):
    wallet, order = Wallet(payments), fresh("order")
    sidecar.inject({"kind": "reset_after", "reference": order})
    answer = wallet.charge(order)
    assert answer.charge.status == charges.CHARGE_STATUS_SUCCEEDED
    assert answer.execution.path == executions.EXECUTION_PATH_RECOVERED
    ledger = sidecar.ledger(order)
    assert (len(ledger["charges"]), len(ledger["posts"])) == (1, 1)


def test_the_same_key_many_times_at_once_is_one_payment(payments, sidecar):
    wallet, order = Wallet(payments), fresh("order")
    request = wallet.charge_request(order)
    with ThreadPoolExecutor(20) as pool:
        calls = [pool.submit(payments.Charge, request, timeout=TIMEOUT_SECONDS) for _ in range(20)]
    assert len({call.result().charge.id for call in calls}) == 1
    ledger = sidecar.ledger(order)
    assert (len(ledger["charges"]), len(ledger["posts"])) == (1, 1)


def test_the_same_refund_twice_gives_back_once(payments, sidecar):
    wallet, order, refund = Wallet(payments), fresh("order"), fresh("refund")
    wallet.charge(order, 100_000)
    fixed = {"idempotency_key": fresh("key"), "reference": refund}
    first = wallet.refund(order, money(40_000), **fixed)
    again = wallet.refund(order, money(40_000), **fixed)
    assert again.refund == first.refund
    effects = [row for row in sidecar.ledger()["refunds"] if row["charge_reference"] == order]
    assert [row["amount_minor"] for row in effects] == [40_000]


def test_a_key_belongs_to_one_content(payments, sidecar):
    wallet, order = Wallet(payments), fresh("order")
    request = wallet.charge_request(order)
    payments.Charge(request, timeout=TIMEOUT_SECONDS)
    request.amount.amount_minor += 1
    with refused() as refusal:
        payments.Charge(request, timeout=TIMEOUT_SECONDS)
    assert refusal.code == grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.info.reason == "IDEMPOTENCY_KEY_REUSED"
    assert refusal.pushback == "-1"
    assert [row["amount_minor"] for row in sidecar.ledger(order)["charges"]] == [125_000]


def test_a_reference_belongs_to_one_key(payments, sidecar):
    wallet, order = Wallet(payments), fresh("order")
    wallet.charge(order)
    with refused() as refusal:
        wallet.charge(order)
    assert refusal.code == grpc.StatusCode.ALREADY_EXISTS
    assert refusal.info.reason == "REFERENCE_ALREADY_USED"
    assert refusal.info.metadata["money_moved"] == "no"
    assert refusal.info.metadata["sent"] == "false"
    assert refusal.info.metadata["status"] == "SUCCEEDED"
    assert len(sidecar.ledger(order)["charges"]) == 1
