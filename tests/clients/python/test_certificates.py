"""Mutual TLS with a stock client, and connections that live as docs/CLIENTS.md says."""

import pathlib
import subprocess
import time

import grpc
import pytest

import example
import sidecar as program
from wallet import TIMEOUT_SECONDS, Wallet, fresh
from zentra.gateway.v1 import charge_pb2 as charges
from zentra.gateway.v1 import payment_service_pb2 as api
from zentra.gateway.v1 import payment_service_pb2_grpc

CERTIFICATES = pathlib.Path(__file__).resolve().parents[1] / "certificates"
CHECKOUT = "spiffe://mesh.example/ns/shop/sa/checkout"


def make(folder, spiffe_id=CHECKOUT):
    subprocess.run([CERTIFICATES, folder, spiffe_id], check=True)


def settings(folder):
    return {
        "SIDECAR_TLS_CERT_FILE": f"{folder}/server.pem",
        "SIDECAR_TLS_KEY_FILE": f"{folder}/server-key.pem",
        "SIDECAR_TLS_CLIENT_CA_FILE": f"{folder}/ca.pem",
        "SIDECAR_TLS_TRUST_DOMAIN": "mesh.example",
        "SIDECAR_TLS_ALLOWED_IDS": "spiffe://mesh.example/ns/shop/*",
        "SIDECAR_LOG": "zentra_sidecar=debug",
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mesh")
    make(folder)
    return folder


@pytest.fixture(scope="module")
def behind_tls(folder):
    running = program.Sidecar(listen="tls://127.0.0.1:0", settings=settings(folder))
    yield running
    assert running.stop() == 0, running.log()


def address(running):
    return running.address.removeprefix("tls://")


def test_a_charge_with_a_certificate(behind_tls, folder):
    with example.connect_with_certificate(address(behind_tls), folder) as channel:
        wallet = Wallet(payment_service_pb2_grpc.PaymentServiceStub(channel))
        order = fresh("order")
        charge = wallet.charge(order).charge
    assert charge.status == charges.CHARGE_STATUS_SUCCEEDED
    assert [made["reference"] for made in behind_tls.ledger(order)["charges"]] == [order]
    assert '"caller":"shop/checkout"' in behind_tls.log()


def test_without_a_certificate_there_is_no_connection(behind_tls, folder):
    trusted = grpc.ssl_channel_credentials((folder / "ca.pem").read_bytes())
    with grpc.secure_channel(address(behind_tls), trusted) as channel:
        payments = payment_service_pb2_grpc.PaymentServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            payments.ListCharges(api.ListChargesRequest(), timeout=TIMEOUT_SECONDS)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


def test_whoever_is_not_on_the_list_is_told_so(behind_tls, folder, tmp_path):
    for name in ("ca.pem", "ca-key.pem"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    make(tmp_path, "spiffe://mesh.example/ns/billing/sa/invoices")
    with example.connect_with_certificate(address(behind_tls), tmp_path) as channel:
        payments = payment_service_pb2_grpc.PaymentServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            payments.ListCharges(api.ListChargesRequest(), timeout=TIMEOUT_SECONDS)
    assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED
    info = example.error_detail(caught.value, example.ErrorInfo)
    assert info.reason == "CALLER_NOT_ALLOWED"


def test_no_call_fails_while_certificates_rotate_and_connections_grow_old(tmp_path):
    make(tmp_path)
    running = program.Sidecar(
        listen="tls://127.0.0.1:0",
        settings={**settings(tmp_path), "SIDECAR_CONNECTION_AGE_SECONDS": "1"},
    )
    try:
        with example.connect_with_certificate(address(running), tmp_path) as channel:
            payments = payment_service_pb2_grpc.PaymentServiceStub(channel)
            deadline = time.monotonic() + TIMEOUT_SECONDS
            make(tmp_path)
            # Until the new certificate is in force, and the connection was replaced after that.
            while "it is old" not in running.log().rpartition("new TLS files are in force")[2] \
                    or "new TLS files are in force" not in running.log():
                assert time.monotonic() < deadline, running.log()
                for _ in range(20):
                    payments.ListCharges(api.ListChargesRequest(), timeout=TIMEOUT_SECONDS)
            payments.ListCharges(api.ListChargesRequest(), timeout=TIMEOUT_SECONDS)
    finally:
        assert running.stop() == 0, running.log()


def test_pings_once_a_second_are_welcome(folder):
    running = program.Sidecar(settings={"SIDECAR_LOG": "zentra_sidecar=debug"})
    options = [
        ("grpc.keepalive_time_ms", 1000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    try:
        with grpc.insecure_channel(running.address, options) as channel:
            payments = payment_service_pb2_grpc.PaymentServiceStub(channel)
            payments.ListCharges(api.ListChargesRequest(), timeout=TIMEOUT_SECONDS)
            # More pings than are put up with at once: it is their pace that counts.
            time.sleep(14)
            assert "goodbye" not in running.log()
            payments.ListCharges(api.ListChargesRequest(), timeout=TIMEOUT_SECONDS)
    finally:
        assert running.stop() == 0, running.log()
