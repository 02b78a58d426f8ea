"""Several sidecars, as `serve` starts them, before one Redis and one simulated Zentra."""

import json
import os
import pathlib
import secrets
import signal
import socket
import subprocess
import threading
import time
import urllib.request

from sidecar import START_SECONDS, STOP_SECONDS

KEY = "sk_simulated_0000000000000000"


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Fleet:
    def __init__(self, folder: pathlib.Path):
        self._program = os.environ["ZENTRA_SIDECAR_BIN"]
        self._processes = []
        port = free_port()
        self._start("redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        until(lambda: can_connect(port), "redis-server answers")
        simulator = self._start(self._program, "simulate", "--listen=127.0.0.1:0")
        self.simulator = first(simulator.stdout, lambda line: line.startswith("ready simulator=")).split("=")[1].strip()
        keys = folder / "fingerprint-keys"
        keys.write_text(secrets.token_hex(32))
        self._flags = [
            f"--zentra-url={self.simulator}", f"--store=redis://127.0.0.1:{port}",
            f"--fingerprint-key-file={keys}", "--admin-listen=127.0.0.1:0", "--card-data=accept",
        ]
        subprocess.run([self._program, "store", "init", *self._flags], env=self._environment(), check=True,
                       capture_output=True, timeout=START_SECONDS)

    @staticmethod
    def _environment():
        return {**os.environ, "ZENTRA_SECRET_KEY": KEY}

    def _start(self, *words):
        process = subprocess.Popen(words, env=self._environment(), text=True, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self._processes.append(process)
        return process

    def sidecar(self, port: int) -> subprocess.Popen:
        """One more sidecar, once it serves."""
        process = self._start(self._program, "serve", f"--listen=127.0.0.1:{port}", *self._flags)
        first(process.stderr, lambda line: '"message":"serving"' in line)
        return process

    def ledger(self) -> dict:
        with urllib.request.urlopen(f"{self.simulator}/_simulator/ledger") as answer:
            return json.load(answer)

    def slow(self, reference: str, milliseconds: int) -> None:
        """The charge of this reference is answered so much later."""
        fault = {"route": "create_charge", "kind": "delay_after", "ms": milliseconds, "reference": reference}
        body = json.dumps(fault).encode()
        with urllib.request.urlopen(f"{self.simulator}/_simulator/faults", data=body) as answer:
            json.load(answer)

    def has_arrived(self, reference: str) -> bool:
        return any(row["reference"] == reference for row in self.ledger()["posts"])

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait(STOP_SECONDS)


def first(stream, wanted) -> str:
    """The first line that is wanted; the rest is read all the time, as a full pipe stops a process."""
    for line in stream:
        if wanted(line):
            threading.Thread(target=stream.read, daemon=True).start()
            return line
    raise RuntimeError("the process ended before it was ready")


def can_connect(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def until(holds, what: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


def terminate(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGTERM)
