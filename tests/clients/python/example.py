"""Takes a payment through the sidecar, from saving the card to a refund.

    python -m grpc_tools.protoc -I proto --python_out=. --grpc_python_out=. \\
        proto/zentra/gateway/v1/*.proto
    python example.py 127.0.0.1:50051 order-1001 proto/service_config.json
"""

import pathlib
import sys

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from zentra.gateway.v1 import charge_pb2, payment_service_pb2 as api, payment_service_pb2_grpc


def connect_with_certificate(address, folder):
    """The certificate says who calls; the bundle says whose sidecars are trusted."""
    names = ("ca.pem", "client-key.pem", "client.pem")
    bundle, key, chain = ((pathlib.Path(folder) / name).read_bytes() for name in names)
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(bundle, key, chain))


def connect(address, service_config=None):
    """The service config retries what may be retried; each key is still paid once."""
    options = [("grpc.service_config", pathlib.Path(service_config).read_text())] if service_config else []
    return grpc.insecure_channel(address, options)


def error_detail(error, kind):
    """One google.rpc detail of an error, or None."""
    status = rpc_status.from_call(error)
    for packed in status.details if status else []:
        detail = kind()
        if packed.Unpack(detail):
            return detail
    return None


def pay(payments, order):
    # Keys come from the order, not from chance: after a crash the same order gives the same key.
    card = {"number": "4242424242424242", "expiry_month": 12, "expiry_year": 2034, "cvv": "123"}
    saved = payments.Tokenize(
        api.TokenizeRequest(idempotency_key=f"{order}:token", customer_id="cust_ada", card=card),
        timeout=20,
    )
    payment = {"amount": {"amount_minor": 125_000, "currency": "NGN"}, "customer_id": "cust_ada",
               "payment_token_id": saved.token.id}  # NGN 1,250.00
    request = api.ChargeRequest(idempotency_key=f"{order}:charge", reference=order, **payment)
    try:
        charge = payments.Charge(request, timeout=20).charge
    except grpc.RpcError as error:
        info = error_detail(error, ErrorInfo)
        if info is None or info.metadata["money_moved"] != "no":
            print("Nobody can say yet whether it was paid: keep the order open, same key again.")
        raise
    if charge.status == charge_pb2.CHARGE_STATUS_FAILED:
        print(f"declined: {charge.failure.code}")  # an answer, not an error
        return
    # Waits until the charge is final, and makes the saved card ready for renewals.
    verified = payments.Verify(api.VerifyRequest(reference=order, wait=Duration(seconds=10)), timeout=20)
    print(f"charged: {charge_pb2.ChargeStatus.Name(verified.charge.status)}, ready: {verified.token_ready}")

    request = api.RenewRequest(idempotency_key=f"{order}-2:renew", reference=f"{order}-2", **payment)
    renewed = payments.Renew(request, timeout=20).charge
    print(f"renewed: {charge_pb2.ChargeStatus.Name(renewed.status)}")

    back = payments.Refund(
        api.RefundRequest(idempotency_key=f"{order}:refund", reference=f"{order}-refund",
                          charge_reference=order, reason="Ordered twice"),
        timeout=20,
    )
    print(f"refunded: {back.refund.amount.currency} {back.refund.amount.amount_minor} minor units")


if __name__ == "__main__":
    with connect(sys.argv[1], *sys.argv[3:]) as channel:
        pay(payment_service_pb2_grpc.PaymentServiceStub(channel), sys.argv[2])
