"""A sidecar before a real Redis and the simulated Zentra, with a Prometheus that scrapes it, and
traffic that makes each metric appear."""

import json
import pathlib
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import grpc

import example
from fleet import START_SECONDS, Fleet, can_connect, free_port, until
from promtool import ROOT, RULES, program
from wallet import DECLINED_CARD, TIMEOUT_SECONDS, Wallet, fresh, money, refused
from zentra.gateway.v1 import payment_service_pb2 as api, payment_service_pb2_grpc

CERTIFICATES = ROOT / "tests" / "clients" / "certificates"
SLOW_MILLISECONDS = 1000
# What the policy denies.
DENIED_AMOUNT = 4242
# A collector that nobody listens at: spans are lost, and counted.
NO_COLLECTOR = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces"}


class World(Fleet):
    def __init__(self, folder: pathlib.Path):
        super().__init__(folder)
        self._redis = self._processes[0]
        self.folder = folder
        self.references: list[str] = []
        self.texts: list[str] = []
        self.admin = self._serve()
        self.prometheus = self._watch()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _serve(self) -> str:
        """Starts the sidecar with both of its outputs kept, and tells where its /metrics is."""
        out, err = self.folder / "audit.jsonl", self.folder / "log.jsonl"
        with out.open("w") as stdout, err.open("w") as stderr:
            listen = "--listen=127.0.0.1:0,tls://127.0.0.1:0"
            flags = [listen, "--reconcile-seconds=1", *policies(self.folder), *self._flags]
            environment = self._environment() | NO_COLLECTOR | certificates(self.folder)
            self._processes.append(
                subprocess.Popen([self._program, "serve", *flags], env=environment, stdout=stdout, stderr=stderr)
            )
        until(lambda: any(line["message"] == "serving" for line in self.log()), "the sidecar serves")
        serving = next(line for line in self.log() if line["message"] == "serving")
        self.address = serving["grpc"].split(",")[0]
        return serving["admin"]

    def log(self) -> list[dict]:
        return whole_lines(self.folder / "log.jsonl")

    def audit(self) -> list[dict]:
        return whole_lines(self.folder / "audit.jsonl")

    def _watch(self) -> str:
        port = free_port()
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(RULES)],
            "scrape_configs": [{"job_name": "shop", "static_configs": [{"targets": [self.admin]}]}],
        }
        file = self.folder / "prometheus.yml"
        # JSON is YAML.
        file.write_text(json.dumps(config))
        log = (self.folder / "prometheus.log").open("w")
        self._processes.append(subprocess.Popen(
            [program("prometheus"), f"--config.file={file}", f"--storage.tsdb.path={self.folder / 'tsdb'}",
             f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log,
        ))
        until(lambda: can_connect(port), "Prometheus answers")
        return f"http://127.0.0.1:{port}"

    def ask(self, path: str, **parameters) -> dict:
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.prometheus}/api/v1/{path}?{query}", timeout=TIMEOUT_SECONDS) as answer:
            return json.load(answer)["data"]

    def history(self, expression: str) -> list[dict]:
        """The series of an expression over the world's whole time."""
        now = time.time()
        return self.ask("query_range", query=expression, start=now - 120, end=now, step=1)["result"]

    def scraped(self) -> None:
        """Waits until two more scrapes are over: as many as a rate needs."""
        seen = self._scrapes()
        until(lambda: self._scrapes() >= seen + 2, "Prometheus scrapes")

    def _scrapes(self) -> float:
        found = self.ask("query", query="count_over_time(up[10m])")
        return max((float(series["value"][1]) for series in found["result"]), default=0)

    def metrics(self) -> str:
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=TIMEOUT_SECONDS) as answer:
            return answer.read().decode()

    def inject(self, **fault) -> None:
        body = json.dumps(fault).encode()
        with urllib.request.urlopen(f"{self.simulator}/_simulator/faults", data=body) as answer:
            json.load(answer)

    def order(self) -> str:
        self.references.append(fresh("order"))
        return self.references[-1]

    def pay(self) -> None:
        """Every operation, and what can become of it while the store works."""
        with example.connect(self.address) as channel:
            payments = payment_service_pb2_grpc.PaymentServiceStub(channel)
            wallet = self.wallet = Wallet(payments)
            self._succeed(payments, wallet)
            # Born before this scrape, so that what follows is growth.
            self.scraped()
            self._succeed(payments, wallet)
            self._go_wrong(payments, wallet)
            self.scraped()
        self.texts.append(self.metrics())

    def _succeed(self, payments, wallet) -> None:
        order = self.order()
        request = wallet.charge_request(order)
        for _ in range(2):
            payments.Charge(request, timeout=TIMEOUT_SECONDS)
        wallet.verify(order)
        wallet.renew(self.order())
        refund = wallet.refund(order, money(40_000)).refund
        payments.GetCharge(api.GetChargeRequest(reference=order), timeout=TIMEOUT_SECONDS)
        payments.GetRefund(api.GetRefundRequest(reference=refund.reference), timeout=TIMEOUT_SECONDS)
        payments.ListCharges(api.ListChargesRequest(), timeout=TIMEOUT_SECONDS)
        payments.ListTokens(api.ListTokensRequest(customer_id=wallet.customer_id), timeout=TIMEOUT_SECONDS)

        found = self.order()
        self.inject(kind="reset_after", reference=found)
        wallet.charge(found)

        repeated = self.order()
        wallet.charge(repeated)
        self.inject(kind="status", status=503, route="get_charge", reference=repeated)
        payments.GetCharge(api.GetChargeRequest(reference=repeated), timeout=TIMEOUT_SECONDS)

        awaited = wallet.charge_request(self.order())
        self.slow(awaited.reference, SLOW_MILLISECONDS)
        with ThreadPoolExecutor(2) as pool:
            calls = [pool.submit(payments.Charge, awaited, timeout=TIMEOUT_SECONDS) for _ in range(2)]
            assert len({call.result().charge.id for call in calls}) == 1

    def _go_wrong(self, payments, wallet) -> None:
        Wallet(payments, DECLINED_CARD).charge(self.order())
        with refused():
            wallet.charge("..")
        with refused() as denial:
            wallet.charge(self.order(), DENIED_AMOUNT)
        assert denial.code == grpc.StatusCode.PERMISSION_DENIED
        self._fill_the_store(1)
        with refused() as refusal:
            wallet.charge(self.order())
        assert refusal.code == grpc.StatusCode.UNAVAILABLE
        self._fill_the_store(0)
        with refused():
            payments.GetCharge(api.GetChargeRequest(reference=fresh("nowhere")), timeout=TIMEOUT_SECONDS)

    def _fill_the_store(self, limit: int) -> None:
        """The store takes no more than these bytes, which is nothing at all; or all, of 0."""
        store = next(flag for flag in self._flags if flag.startswith("--store="))
        port = int(store.rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as redis:
            redis.sendall(f"CONFIG SET maxmemory {limit}\r\n".encode())
            assert redis.recv(5) == b"+OK\r\n"

    def lose_the_store(self) -> None:
        """Redis ends while Zentra makes a payment: its caller hears the truth, nobody stores it."""
        order = self.order()
        self.slow(order, SLOW_MILLISECONDS)
        with example.connect(self.address) as channel, ThreadPoolExecutor(1) as pool:
            payments = payment_service_pb2_grpc.PaymentServiceStub(channel)
            request = self.wallet.charge_request(order)
            paying = pool.submit(payments.Charge, request, timeout=TIMEOUT_SECONDS)
            until(lambda: self.has_arrived(order), "the charge arrives")
            self._redis.kill()
            self._redis.wait(START_SECONDS)
            paying.result(TIMEOUT_SECONDS)
            with refused() as refusal:
                payments.Charge(self.wallet.charge_request(self.order()), timeout=TIMEOUT_SECONDS)
            assert refusal.code == grpc.StatusCode.UNAVAILABLE
        self.scraped()
        self.texts.append(self.metrics())


def policies(folder: pathlib.Path) -> list[str]:
    """A policy that denies one amount, and one on trial beside it with a limit that has no room."""
    rules = '@id("the-shop") permit(principal, action, resource);'
    denial = f'@id("odd") forbid(principal, action == Action::"Charge", resource) when {{ context.amount == {DENIED_AMOUNT} }};'
    flags = []
    for flag, text in (("policy", rules + denial), ("policy-candidate", rules)):
        (folder / flag).mkdir()
        (folder / flag / "rules.cedar").write_text(text)
        flags.append(f"--{flag}={folder / flag}")
    limit = '[[limit]]\nname = "none"\nmeasure = "amount"\nmost = 1\nwindow = "1h"\nactions = ["Charge"]\ncurrencies = ["NGN"]\n'
    (folder / "policy-candidate" / "limits.toml").write_text(limit)
    return flags


def certificates(folder: pathlib.Path) -> dict[str, str]:
    """What a listener with mutual TLS needs."""
    made = folder / "certificates"
    made.mkdir()
    subprocess.run([CERTIFICATES, made, "spiffe://mesh.example/ns/shop/sa/checkout"], check=True)
    return {
        "SIDECAR_TLS_CERT_FILE": f"{made}/server.pem",
        "SIDECAR_TLS_KEY_FILE": f"{made}/server-key.pem",
        "SIDECAR_TLS_CLIENT_CA_FILE": f"{made}/ca.pem",
        "SIDECAR_TLS_TRUST_DOMAIN": "mesh.example",
        "SIDECAR_TLS_ALLOWED_IDS": "spiffe://mesh.example/ns/shop/*",
    }


def whole_lines(path: pathlib.Path) -> list[dict]:
    """The lines of JSON that were written wholly so far."""
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
